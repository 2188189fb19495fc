// Package omniroute holds the sources of the plugin SDKs, so that the program
// can put them beside a new plugin: it compiles at once, without a network.
package omniroute

import "embed"

// SDK is the folder sdk with the SDKs of all languages.
//
//go:embed LICENSE
//go:embed sdk/*.go sdk/*.s sdk/abi/*.go sdk/conform/*.go sdk/fixture/*.go sdk/hub sdk/jsn/*.go sdk/pb/*.go
//go:embed sdk/plugintest/*.go sdk/translator/*.go sdk/rust sdk/assemblyscript/*.ts sdk/c/*.h
var SDK embed.FS
