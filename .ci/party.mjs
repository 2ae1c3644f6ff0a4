// A client that others wrote, partysocket from npm, stays in a room while the program is
// killed and started again: it connects anew by itself, says where it left, and misses
// and repeats nothing.
//
//   node party.mjs <program> <data folder> <npm prefix>

import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import assert from 'node:assert/strict'

const patience = 30_000 // ms for the whole; only a failure takes as long
const kills = 3
const each = 40 // messages between two kills
const window = 8 // of them without an acknowledgement at a time

const [program, data, prefix] = process.argv.slice(2)
const require = createRequire(join(prefix, 'node_modules', 'x'))
const PartySocket = require('partysocket/ws').default
const WS = require('ws')

const base = `127.0.0.1:${await freePort()}`
const late = AbortSignal.timeout(patience)
let server

/** A port below those that the system gives to clients: none of them, who try again and
 * again while the program is down, gets it. */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = createServer().listen(port, '127.0.0.1')
    try {
      await once(probe, 'listening')
    } catch {
      continue // somebody has it
    }
    probe.close()
    await once(probe, 'close')
    return port
  }
}

/** Starts the program, and waits until it serves. */
async function start() {
  server = spawn(program, ['--addr', base, '--data', data], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  server.stdout.on('data', (chunk) => (text += chunk))
  while (!/listening {2}http:/.test(text)) await once(server.stdout, 'data', { signal: late })
}

async function kill() {
  server.kill('SIGKILL')
  await once(server, 'exit', { signal: late })
}

/** A person who says things, each until it is acknowledged, and keeps what there is to see. */
class Person {
  seen = [] // messages, as they came
  open = new Map() // what is not acknowledged, by its id
  opened = 0 // connections
  gaps = 0
  at = undefined // position of the last message, or what welcome called the latest
  frames = new EventEmitter().setMaxListeners(0)

  constructor(name) {
    this.name = name
    this.socket = new PartySocket(() => this.url(), [], { WebSocket: WS, minReconnectionDelay: 50, maxReconnectionDelay: 200,
      minUptime: 0, maxEnqueuedMessages: 0 })
    this.socket.addEventListener('message', ({ data }) => this.receive(JSON.parse(data)))
  }

  /** Asked for each connection: from where the last one ended. */
  url() {
    const since = this.at === undefined ? '' : `&since=${this.at ?? ''}`
    return `ws://${base}/ws/party?user=${this.name}${since}`
  }

  receive(frame) {
    if (frame.type === 'welcome') {
      this.opened++
      if (this.at === undefined) this.at = frame.latest
      for (const message of this.open.values()) this.socket.send(message)
    } else if (frame.type === 'message') {
      this.seen.push(frame.message)
      this.at = frame.message.$id
    } else if (frame.type === 'gap') {
      this.gaps++
    } else if (frame.type === 'ack') {
      this.open.delete(frame.id)
    } else if (frame.type === 'error') {
      assert.fail(JSON.stringify(frame))
    }
    this.frames.emit('frame')
  }

  say(id) {
    const message = JSON.stringify({ type: 'message', id, content: `${id} of ${this.name}` })
    this.open.set(id, message)
    if (this.opened > 0 && this.socket.readyState === PartySocket.OPEN) this.socket.send(message)
  }

  /** Waits until a frame has made something hold. */
  async until(what, holds) {
    while (!holds()) {
      await once(this.frames, 'frame', { signal: late }).catch(() => assert.fail(`${this.name}: not in time: ${what}`))
    }
  }

  async sayAll(from, to) {
    for (let n = from; n < to; n++) {
      await this.until('acknowledgements', () => this.open.size < window)
      this.say(`${n}`)
    }
  }
}

let failed
try {
  await start()
  const people = [new Person('ann'), new Person('bob')]
  const [ann, bob] = people
  for (const person of people) await person.until('welcome', () => person.opened === 1)

  for (let n = 0; n < kills; n++) {
    const saying = people.map((person) => person.sayAll(n * each, (n + 1) * each))
    // In the middle of it: something is acknowledged, something is not.
    await ann.until('half of it', () => ann.seen.length > (2 * n + 1) * each && people.some(({ open }) => open.size > 0))
    await kill()
    await start()
    await Promise.all(saying)
    for (const person of people) {
      await person.until('all acknowledged', () => person.open.size === 0)
      await person.until(`connection ${n + 2}`, () => person.opened >= n + 2)
    }
  }
  const total = people.length * kills * each
  for (const person of people) await person.until('all seen', () => person.seen.length >= total)

  const contents = people.flatMap(({ name }) => Array.from({ length: kills * each }, (_, n) => `${n} of ${name}`))
  assert.deepEqual(ann.seen.map((m) => m.content).sort(), contents.sort(), 'each message once')
  assert.deepEqual(bob.seen, ann.seen, 'one order')
  const history = []
  for (let after = ''; ; after = history.at(-1).$id) {
    const page = await (await fetch(`http://${base}/rooms/party/messages?limit=100&after=${after}`)).json()
    history.push(...page)
    if (page.length < 100) break
  }
  assert.deepEqual(history, ann.seen, 'the history is what was seen')
  assert.equal(ann.gaps + bob.gaps, 0)
  for (const { socket } of people) socket.close()
  console.log(`  ok  ${total} messages over ${kills} kills, ${ann.opened + bob.opened} connections`)
} catch (e) {
  failed = e
  console.error(e)
} finally {
  if (server?.exitCode === null && server.signalCode === null) server.kill('SIGKILL')
}
process.exit(failed ? 1 : 0)
