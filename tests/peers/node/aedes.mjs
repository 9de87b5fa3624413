// An aedes broker as a test part: node aedes.mjs PORT [connect timeout ms] [keepalive limit s] [HOST]
// Packages live outside the tests; PEERS_NODE says where.
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(process.env.PEERS_NODE, 'package.json'))
const { Aedes } = await import(pathToFileURL(require.resolve('aedes')).href)

const [port, connectTimeout = '30000', keepaliveLimit = '0', host = '127.0.0.1'] = process.argv.slice(2)
const broker = await Aedes.createBroker({
  connectTimeout: Number(connectTimeout),
  keepaliveLimit: Number(keepaliveLimit),
  authenticate: (client, name, password, done) => {
    if (name !== 'refused') return done(null, true)
    const error = new Error('bad user name or password')
    error.returnCode = 4
    return done(error, null)
  },
  authorizePublish: (client, packet, done) =>
    done(packet.topic.startsWith('forbidden') ? new Error('not authorized') : null)
})
const say = (event, detail) => console.log(JSON.stringify({ at: Date.now() / 1000, event, detail }))
broker.on('clientError', (client, error) => say('client_error', `${client.id}: ${error.message}`))
broker.on('connectionError', (client, error) => say('connection_error', error.message))
broker.on('keepaliveTimeout', (client) => say('keepalive_timeout', client.id))
createServer(broker.handle).listen(Number(port), host, () => say('listening', port))
