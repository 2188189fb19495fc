// Package envelope carries signed reasoning of one provider through the format of
// another (E-1): the signature becomes omni:<provider>:<signature> and is opened
// again on the way back. A signature never reaches a provider that did not make it.
package envelope
