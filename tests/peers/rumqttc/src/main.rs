//! A rumqttc client as a test part: rumqttc-part HOST PORT CLIENT_ID KEEP_ALIVE_S [TOPIC_TO_SUBSCRIBE]
//! It tells "connected" and "lost" as JSON lines; rumqttc pings each Keep Alive and gives up when the next is due.

use rumqttc::{Client, Event, Incoming, MqttOptions, QoS};
use std::time::Duration;

fn tell(event: &str, detail: String) {
    println!("{{\"event\": \"{event}\", \"detail\": {detail:?}}}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let port = arguments[2].parse().expect("a port");
    let keep_alive = arguments[4].parse().expect("seconds");
    let mut options = MqttOptions::new(&arguments[3], &arguments[1], port);
    options.set_keep_alive(Duration::from_secs(keep_alive));
    let (client, mut connection) = Client::new(options, 10);
    if let Some(topic) = arguments.get(5) {
        client.subscribe(topic, QoS::AtMostOnce).expect("subscribed");
    }
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => tell("connected", String::new()),
            Ok(Event::Incoming(Incoming::PingResp)) => tell("pingresp", String::new()),
            Ok(_) => (),
            Err(error) => return tell("lost", error.to_string()),
        }
    }
}
