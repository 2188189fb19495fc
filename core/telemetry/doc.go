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
// [Metrics] owns a Prometheus registry. Whoever measures something asks it for
// a counter, gauge or histogram by name; the number of series of each is
// bounded, so that no client can grow them without end.
package telemetry
