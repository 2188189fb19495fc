// Command omniroute is the gateway and every tool around it.
//
//	omniroute serve                       run the gateway with ./omniroute.yaml
//	omniroute check                       would it start? every problem at once
//	omniroute key create --name laptop    a client key
//	omniroute provider add openai         an upstream account
//	omniroute explain REQUEST_ID          why was it routed there?
//
// One file per verb. Data goes to stdout, errors to stderr; the exit code is 0 for yes, 1 for no (a check
// that failed, a thing that does not exist) and 2 for wrong usage.
package main
