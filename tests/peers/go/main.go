// A paho.mqtt.golang client as a test part. The version in go.mod is one whose keepalive ticker is known
// to ping an idle connection later than asked for; nothing here works around that.
// One JSON object per line on standard output: what happened, and when by the wall clock.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

var lock sync.Mutex

func tell(event, id, detail string) {
	at := float64(time.Now().UnixNano()) / 1e9
	line, _ := json.Marshal(map[string]any{"at": at, "event": event, "client_id": id, "detail": detail})
	lock.Lock()
	defer lock.Unlock()
	fmt.Println(string(line))
}

type settings struct {
	host, subscribe        string
	port                   int
	keepAlive, pingTimeout time.Duration
	block                  time.Duration
}

func live(id string, want settings) {
	lost := make(chan error, 1)
	options := mqtt.NewClientOptions().
		AddBroker(fmt.Sprintf("tcp://%s:%d", want.host, want.port)).
		SetClientID(id).SetKeepAlive(want.keepAlive).SetPingTimeout(want.pingTimeout).
		SetAutoReconnect(false).SetProtocolVersion(4).
		SetConnectionLostHandler(func(_ mqtt.Client, reason error) { lost <- reason })
	client := mqtt.NewClient(options)
	if token := client.Connect(); token.Wait() && token.Error() != nil {
		tell("refused", id, token.Error().Error())
		return
	}
	tell("connected", id, "")
	if want.subscribe != "" {
		handler := func(_ mqtt.Client, message mqtt.Message) {
			tell("message", id, message.Topic())
			time.Sleep(want.block)
		}
		token := client.Subscribe(want.subscribe, 0, handler)
		token.Wait()
		tell("subscribed", id, want.subscribe)
	}
	tell("lost", id, (<-lost).Error())
}

func main() {
	var want settings
	flag.StringVar(&want.host, "host", "127.0.0.1", "broker or proxy")
	flag.IntVar(&want.port, "port", 1883, "its port")
	flag.DurationVar(&want.keepAlive, "keepalive", 30*time.Second, "Keep Alive")
	flag.DurationVar(&want.pingTimeout, "ping-timeout", 10*time.Second, "how long to wait for PINGRESP")
	flag.StringVar(&want.subscribe, "subscribe", "", "topic filter to subscribe to")
	flag.DurationVar(&want.block, "block", 0, "how long the first message blocks the callback")
	id := flag.String("client-id", "go", "client identifier")
	count := flag.Int("clients", 1, "how many; beyond one, the identifiers are numbered from 0")
	stagger := flag.Duration("stagger", 0, "pause between the starts of two clients")
	flag.Parse()

	var all sync.WaitGroup
	for number := 0; number < *count; number++ {
		name := *id
		if *count > 1 {
			name = fmt.Sprintf("%s-%d", *id, number)
		}
		time.Sleep(*stagger)
		all.Add(1)
		go func() {
			defer all.Done()
			live(name, want)
		}()
	}
	all.Wait()
}
