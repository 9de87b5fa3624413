// An MQTT.js client as a test part: node mqttjs.mjs '{"library": "mqtt", "url": "mqtt://…", "options": {…},
// "subscribe": "topic", "publish": "topic", "everyMs": 500}'. `library` is the package or the alias of an old release.
// One JSON object per line: what happened, and when by the wall clock. Ends when the connection has closed.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.env.PEERS_NODE, 'package.json'))
const wanted = JSON.parse(process.argv[2])
const mqtt = require(wanted.library ?? 'mqtt')

const say = (event, detail = '') => console.log(JSON.stringify({ at: Date.now() / 1000, event, detail: String(detail) }))
const client = mqtt.connect(wanted.url, { reconnectPeriod: 0, protocolVersion: 4, ...wanted.options })
client.on('connect', () => {
  say('connected')
  if (wanted.subscribe) client.subscribe(wanted.subscribe, (error) => say('subscribed', error ?? ''))
  if (wanted.publish) setInterval(() => client.publish(wanted.publish, 'x'), wanted.everyMs ?? 500).unref()
})
client.on('message', (topic) => say('message', topic))
client.on('packetsend', (packet) => { if (packet.cmd === 'pingreq') say('pingreq') })
client.on('packetreceive', (packet) => { if (packet.cmd === 'pingresp') say('pingresp') })
client.on('error', (error) => say('error', error.message))
client.on('close', () => { say('lost'); setTimeout(() => process.exit(0), 50) })
process.on('SIGTERM', () => client.end(false, () => process.exit(0)))
