// kubo-rpc-client against one node: scenario.mjs API-URL ADDRESS-OF-ANOTHER-NODE. Prints "ok AREA" for each area, or "failed AREA: why"
// and ends with 1. It passes against Kubo, too.
import assert from 'node:assert/strict'
import { create } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'
import { multiaddr } from '@multiformats/multiaddr'

const [url, other] = process.argv.slice(2)
const ipfs = create({ url })
const peer = other.split('/p2p/')[1]
const text = new TextEncoder()

async function all (source) {
  const items = []
  for await (const item of source) items.push(item)
  return items
}

async function bytes (source) {
  return Buffer.concat(await all(source))
}

function noise (size) {
  const out = Buffer.alloc(size)
  for (let i = 0, x = 1; i < size; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff
    out[i] = x >> 16
  }
  return out
}

async function fails (promise, pattern) {
  await assert.rejects(promise, error => {
    assert.match(error.message, pattern)
    return true
  })
}

const areas = {
  async id () {
    const me = await ipfs.id()
    assert.ok(me.id && me.agentVersion && me.addresses.length > 0 && me.protocols.length > 0)
    await ipfs.swarm.connect(multiaddr(other))
    assert.equal((await ipfs.id({ peerId: peer })).id.toString(), peer)
    assert.equal((await ipfs.version()).version, '0.42.0')
    assert.equal(await ipfs.isOnline(), true)
  },

  async add () {
    const hello = await ipfs.add('hello\n')
    assert.equal(hello.cid.toString(), 'QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN')
    assert.equal(hello.size, 14)
    const one = await ipfs.add(noise(700000), { cidVersion: 1, rawLeaves: true, chunker: 'size-100000' })
    assert.equal(one.cid.version, 1)
    assert.equal((await ipfs.add('not kept', { onlyHash: true })).path, (await ipfs.add('not kept', { onlyHash: true })).cid.toString())
    const seen = []
    await ipfs.add(noise(600000), { progress: n => seen.push(n) })
    assert.ok(seen.length > 0 && Math.max(...seen) >= 600000)
    const wrapped = await ipfs.add({ path: 'name.txt', content: 'x' }, { wrapWithDirectory: true })
    assert.equal(wrapped.path, '')
    const tree = await all(ipfs.addAll([{ path: 'd/a.txt', content: 'a' }, { path: 'd/sub/b.bin', content: noise(300000) }]))
    assert.deepEqual(tree.map(e => e.path).sort(), ['d', 'd/a.txt', 'd/sub', 'd/sub/b.bin'])
  },

  async cat () {
    const data = noise(700000)
    const { cid } = await ipfs.add(data)
    assert.ok((await bytes(ipfs.cat(cid))).equals(data))
    assert.ok((await bytes(ipfs.cat(cid, { offset: 262140, length: 10 }))).equals(data.subarray(262140, 262150)))
    await fails(all(ipfs.cat('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', { offline: true })), /not found|offline/)
    await fails(all(ipfs.cat('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', { timeout: 300 })), /./)
  },

  async ls () {
    const tree = await all(ipfs.addAll([{ path: 'd/a.txt', content: 'a' }, { path: 'd/sub/b', content: 'bb' }]))
    const root = tree.find(e => e.path === 'd').cid
    const listed = await all(ipfs.ls(root))
    assert.deepEqual(listed.map(e => [e.name, e.type]), [['a.txt', 'file'], ['sub', 'dir']])
    const archive = await bytes(ipfs.get(root))
    assert.ok(archive.length > 1024 && archive.includes('a.txt'))
    const refs = await all(ipfs.refs(root, { recursive: true }))
    assert.equal(refs.length, 3)
    assert.ok((await all(ipfs.refs.local())).length >= 4)
    assert.equal(await ipfs.resolve(`/ipfs/${root}/a.txt`), `/ipfs/${tree.find(e => e.path === 'd/a.txt').cid}`)
  },

  async block () {
    const cid = await ipfs.block.put(text.encode('a block'))
    assert.equal(Buffer.from(await ipfs.block.get(cid)).toString(), 'a block')
    assert.equal((await ipfs.block.stat(cid)).size, 7)
    assert.equal((await all(ipfs.block.rm(cid)))[0].cid.toString(), cid.toString())
    assert.match((await all(ipfs.block.rm(cid)))[0].error.message, /not f|could not find/)
  },

  async pin () {
    const { cid } = await ipfs.add('pinned', { pin: false })
    assert.equal((await ipfs.pin.add(cid)).toString(), cid.toString())
    assert.ok((await all(ipfs.pin.ls({ type: 'recursive' }))).some(p => p.cid.equals(cid)))
    assert.equal((await all(ipfs.pin.ls({ paths: cid })))[0].type, 'recursive')
    assert.equal((await ipfs.pin.rm(cid)).toString(), cid.toString())
    await fails(ipfs.pin.rm(cid), /not pinned/)
    const both = await all(ipfs.pin.addAll([cid, (await ipfs.add('other')).cid]))
    assert.equal(both.length, 2)
  },

  async dag () {
    const cid = await ipfs.dag.put({ a: { b: [1, 2, { c: 'd' }] } })
    assert.deepEqual((await ipfs.dag.get(cid)).value, { a: { b: [1, 2, { c: 'd' }] } })
    assert.equal((await ipfs.dag.get(cid, { path: '/a/b/2/c' })).value, 'd')
    const above = await ipfs.dag.put({ link: cid })
    const found = await ipfs.dag.resolve(above, { path: '/link/a/b' })
    assert.equal(found.cid.toString(), cid.toString())
    assert.equal(found.remainderPath.replace(/^\//, ''), 'a/b')
    const car = await bytes(ipfs.dag.export(above))
    const roots = await all(ipfs.dag.import([car]))
    assert.equal(roots[0].root.cid.toString(), above.toString())
  },

  async files () {
    await ipfs.files.mkdir('/js/deep', { parents: true })
    await ipfs.files.write('/js/deep/file', noise(300000), { create: true })
    assert.ok((await bytes(ipfs.files.read('/js/deep/file'))).equals(noise(300000)))
    await ipfs.files.write('/js/deep/file', 'XX', { offset: 3 })
    assert.equal((await bytes(ipfs.files.read('/js/deep/file', { offset: 3, length: 2 }))).toString(), 'XX')
    await ipfs.files.cp('/js/deep/file', '/js/copy')
    await ipfs.files.mv('/js/copy', '/js/moved')
    assert.deepEqual((await all(ipfs.files.ls('/js'))).map(e => e.name).sort(), ['deep', 'moved'])
    const stat = await ipfs.files.stat('/js/moved')
    assert.equal(stat.size, 300000)
    assert.equal(stat.type, 'file')
    assert.ok(await ipfs.files.flush('/js') instanceof CID)
    await ipfs.files.rm('/js', { recursive: true })
    await fails(ipfs.files.stat('/js'), /does not exist/)
  },

  async key () {
    const made = await ipfs.key.gen('js-key')
    assert.ok((await ipfs.key.list()).some(k => k.name === 'js-key' && k.id === made.id))
    assert.equal((await ipfs.key.rename('js-key', 'js-other')).now, 'js-other')
    assert.equal((await ipfs.key.rm('js-other')).name, 'js-other')
  },

  async name () {
    const { cid } = await ipfs.add('named')
    const published = await ipfs.name.publish(cid, { allowOffline: true, resolve: false })
    assert.equal(published.value, `/ipfs/${cid}`)
    const resolved = await all(ipfs.name.resolve(published.name))
    assert.equal(resolved.at(-1), `/ipfs/${cid}`)
  },

  async config () {
    await ipfs.config.set('Swarm.ConnMgr.HighWater', 77)
    assert.equal(await ipfs.config.get('Swarm.ConnMgr.HighWater'), 77)
    const whole = await ipfs.config.getAll()
    assert.ok(whole.Addresses && !whole.Identity.PrivKey)
    assert.ok((await ipfs.config.profiles.apply('lowpower', { dryRun: true })).updated)
    await ipfs.config.replace(whole)
    const address = multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${peer}`)
    await ipfs.bootstrap.add(address)
    assert.ok((await ipfs.bootstrap.list()).Peers.some(a => a.toString() === address.toString()))
    await ipfs.bootstrap.rm(address)
    assert.ok(!(await ipfs.bootstrap.list()).Peers.some(a => a.toString() === address.toString()))
  },

  async swarm () {
    await ipfs.swarm.connect(multiaddr(other))
    const peers = await ipfs.swarm.peers({ verbose: true })
    assert.ok(peers.some(p => p.peer.toString() === peer && p.direction === 'outbound'))
    assert.ok((await ipfs.swarm.localAddrs()).length > 0)
    assert.ok((await ipfs.swarm.addrs()).some(p => p.id.toString() === peer))
    const pongs = await all(ipfs.ping(peer, { count: 2 }))
    assert.ok(pongs.some(p => p.success && p.time > 0))
    const found = await all(ipfs.routing.findPeer(peer)).catch(() => [])
    assert.ok(Array.isArray(found))
    await ipfs.swarm.disconnect(multiaddr(other))
  },

  async stats () {
    const stat = await ipfs.repo.stat()
    assert.ok(stat.numObjects > 0n && stat.repoPath)
    assert.ok((await ipfs.repo.version()) !== undefined)
    assert.ok((await ipfs.stats.bitswap()).blocksReceived >= 0n)
    assert.ok((await ipfs.stats.repo()).repoSize > 0n)
    const bw = (await all(ipfs.stats.bw()))[0]
    assert.ok(bw.totalIn >= 0n && typeof bw.rateIn === 'number')
    assert.ok(Array.isArray((await ipfs.bitswap.stat()).peers))
    assert.deepEqual(await ipfs.bitswap.wantlist(), [])
    assert.ok((await all(ipfs.repo.gc())).every(g => g.cid))
  },

  async diag () {
    assert.ok((await ipfs.commands()).Subcommands.length > 30)
    assert.ok((await ipfs.diag.cmds()).some(c => c.command === 'commands' || c.Command === 'commands'))
    assert.ok((await ipfs.diag.sys()).ipfs_version ?? (await ipfs.diag.sys()).ipfsVersion)
    assert.match((await ipfs.log.level('all', 'error')).message, /Changed log level/)
    assert.ok((await ipfs.log.ls()).length > 5)
    await fails(ipfs.pubsub.ls(), /not enabled/)
  }
}

const wanted = process.argv.slice(4)
let failures = 0
for (const [area, run] of Object.entries(areas)) {
  if (wanted.length > 0 && !wanted.includes(area)) continue
  try {
    await run()
    console.log(`ok ${area}`)
  } catch (error) {
    failures++
    console.log(`failed ${area}: ${error.name} ${error.message?.split('\n').slice(0, 12).join(' | ')} ${error.stack?.split('\n').find(l => l.includes('scenario.mjs')) ?? ''}`)
  }
}
process.exit(failures > 0 ? 1 : 0)
