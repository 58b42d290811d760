// A js-libp2p node: peer.mjs tcp|ws|quic noise|tls [pubsub] [relay] [dht-client|dht-server] [helia] [at=RELAY-ADDRESS]. It prints
// {"id", "addrs"}; for each line of its input, a command of `commands` with its words, a line {"ok": true, …} or {"ok": false, "error"};
// in between lines {"event": …}. Ends with its input.
import './older_node.mjs'
import { createInterface } from 'node:readline'
import { noise } from '@chainsafe/libp2p-noise'
import { quic } from '@chainsafe/libp2p-quic'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'

const [transport, security, ...wanted] = process.argv.slice(2)
const has = (what) => wanted.includes(what)
const relays = wanted.filter((w) => w.startsWith('at=')).map((w) => `${w.slice(3)}/p2p-circuit`)
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
const base64 = (bytes) => Buffer.from(bytes).toString('base64')
const transports = { tcp: [tcp, '/ip4/127.0.0.1/tcp/0'], ws: [webSockets, '/ip4/127.0.0.1/tcp/0/ws'], quic: [quic, '/ip4/127.0.0.1/udp/0/quic-v1'] }
const [make, listen] = transports[transport]

const services = { identify: identify(), ping: ping() }
if (has('pubsub')) services.pubsub = gossipsub({ allowPublishToZeroTopicPeers: true })
if (has('relay')) services.relay = circuitRelayServer({ reservations: { applyDefaultLimit: false } })
if (has('dht-client') || has('dht-server')) {
  services.dht = kadDHT({ protocol: '/ipfs/lan/kad/1.0.0', clientMode: has('dht-client'), peerInfoMapper: passthroughMapper })
}
const config = {
  addresses: { listen: [listen, ...relays] },
  transports: [make(), circuitRelayTransport()],
  connectionEncrypters: [security === 'tls' ? tls() : noise()],
  streamMuxers: [yamux()],
  services,
  connectionGater: { denyDialMultiaddr: () => false }
}

async function startHelia () {
  const { createHeliaLight } = await import('helia')
  const { withBitswap } = await import('@helia/bitswap')
  const { withLibp2pLight } = await import('@helia/libp2p')
  const { unixfs } = await import('@helia/unixfs')
  const helia = withBitswap(withLibp2pLight(createHeliaLight(), config))
  await helia.start()
  return { node: helia.libp2p, files: unixfs(helia) }
}

const { node, files } = has('helia') ? await startHelia() : { node: await createLibp2p(config) }
say({ id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })
services.pubsub && node.services.pubsub.addEventListener('message', ({ detail }) =>
  say({ event: 'message', topic: detail.topic, from: String(detail.from), data: base64(detail.data) }))

const commands = {
  async dial (address) {
    await node.hangUp(multiaddr(address)) // what the other side has closed may still count as open here
    const connection = await node.dial(multiaddr(address))
    const rtt = await node.services.ping.ping(connection.remotePeer)
    const seen = await node.peerStore.get(connection.remotePeer)
    const agent = seen.metadata.get('AgentVersion')
    return { rtt, encryption: connection.encryption, multiplexer: connection.multiplexer, agent: agent && new TextDecoder().decode(agent) }
  },
  async addrs () {
    return { addrs: node.getMultiaddrs().map(String) }
  },
  async subscribe (topic) {
    node.services.pubsub.subscribe(topic)
  },
  async subscribers (topic) {
    return { peers: node.services.pubsub.getSubscribers(topic).map(String) }
  },
  async publish (topic, data) {
    await node.services.pubsub.publish(topic, Buffer.from(data, 'base64'))
  },
  async add (data) {
    return { cid: String(await files.addBytes(Buffer.from(data, 'base64'))) }
  },
  async cat (cid) {
    const parts = []
    for await (const part of files.cat(CID.parse(cid), { signal: AbortSignal.timeout(30000) })) parts.push(part)
    return { data: base64(Buffer.concat(parts)) }
  },
  async provide (cid) {
    await node.contentRouting.provide(CID.parse(cid))
  },
  async providers (cid) {
    const found = []
    try {
      for await (const peer of node.contentRouting.findProviders(CID.parse(cid), { signal: AbortSignal.timeout(3000) })) found.push(String(peer.id))
    } catch (error) { // its lookup ends with the time it has
      if (!found.length) throw error
    }
    return { found }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(' ')
  try {
    say({ ok: true, ...await commands[command](...words) })
  } catch (error) {
    say({ ok: false, error: String(error) })
  }
}
process.exit(0)
