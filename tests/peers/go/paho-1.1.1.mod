module kaproxy/tests/peers

go 1.22

require github.com/eclipse/paho.mqtt.golang v1.1.1

require golang.org/x/net v0.0.0-20200425230154-ff2c4b7c35a0 // indirect
