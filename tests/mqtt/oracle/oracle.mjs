// Another implementation's opinion: mqtt-packet behind one JSON line in, one JSON line out.
//   {"op": "parse", "version": 4, "hex": "c000"}              -> {"packets": [...], "left": 0}
//   {"op": "generate", "version": 4, "packet": {"cmd": ...}}  -> {"hex": "..."}
// {"size": n} stands for a Buffer of n zeros, both ways. What it rejects comes back as {"error": "..."}.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import path from 'node:path'

const require = createRequire(pathToFileURL(path.join(process.argv[2], 'here.js')))
const mqtt = require('mqtt-packet')

const unfold = (key, value) => (value?.size !== undefined ? Buffer.alloc(value.size) : value)
const fold = (key, value) => (value?.type === 'Buffer' ? { size: value.data.length } : value)

function parse ({ version, hex }) {
  const packets = []
  let error
  const parser = mqtt.parser({ protocolVersion: version })
  parser.on('packet', (packet) => packets.push({ ...packet }))
  parser.on('error', (found) => { error = found.message })
  const left = parser.parse(Buffer.from(hex, 'hex'))
  return error === undefined ? { packets, left } : { error }
}

function generate ({ version, packet }) {
  return { hex: mqtt.generate(packet, { protocolVersion: version }).toString('hex') }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const request = JSON.parse(line, unfold)
    answer = request.op === 'parse' ? parse(request) : generate(request)
  } catch (error) {
    answer = { error: error.message }
  }
  process.stdout.write(JSON.stringify(answer, fold) + '\n')
}
