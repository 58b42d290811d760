// A js-libp2p node with one transport and one security: peer.mjs tcp|ws noise|tls. It prints {"id", "addrs"}; for each line
// "dial ADDRESS" of its input a line {"ok": true, …} or {"ok": false, "error"}. Ends with its input.
import './older_node.mjs'
import { createInterface } from 'node:readline'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [transport, security] = process.argv.slice(2)
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
const node = await createLibp2p({
  addresses: { listen: [transport === 'ws' ? '/ip4/127.0.0.1/tcp/0/ws' : '/ip4/127.0.0.1/tcp/0'] },
  transports: [transport === 'ws' ? webSockets() : tcp()],
  connectionEncrypters: [security === 'tls' ? tls() : noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() },
  connectionGater: { denyDialMultiaddr: () => false }
})
say({ id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })

async function dial (address) {
  await node.hangUp(multiaddr(address)) // what the other side has closed may still count as open here
  const connection = await node.dial(multiaddr(address))
  const rtt = await node.services.ping.ping(connection.remotePeer)
  const seen = await node.peerStore.get(connection.remotePeer)
  const agent = seen.metadata.get('AgentVersion')
  return { rtt, encryption: connection.encryption, multiplexer: connection.multiplexer, agent: agent && new TextDecoder().decode(agent) }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [, address] = line.split(' ')
  try {
    say({ ok: true, ...await dial(address) })
  } catch (error) {
    say({ ok: false, error: String(error) })
  }
}
process.exit(0)
