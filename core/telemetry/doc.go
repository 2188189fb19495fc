// Package telemetry is how the gateway says what it is doing: logs, request
// ids and metrics.
//
//	log, err := telemetry.NewLogger(os.Stderr, telemetry.LogOptions{Level: "info", Format: "text"})
//
// Every logger made here passes its records through a redactor. Values under
// names that carry secrets (authorization, api_key, …) and text that looks
// like a credential (Bearer …, sk-…) never reach the output, whoever logs
// them; a [Secret] prints as a mark wherever it goes.
//
// [Metrics] owns a Prometheus registry with the metrics of the gateway under
// documented names, and bounds the number of label values, so that no client
// can grow it without end.
package telemetry
