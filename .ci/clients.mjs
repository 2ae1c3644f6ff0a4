// Talks to the running program as the seed's Quick Start and Client Code do, with
// wscat and ws from npm.
//
//   node clients.mjs <program> <data folder> <npm prefix>

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import assert from 'node:assert/strict'

const patience = 15_000 // ms for anything that is waited for; only a failure takes as long
const base = 'localhost:8787' // the Quick Start's

const [program, data, prefix] = process.argv.slice(2)
const WebSocket = createRequire(join(prefix, 'node_modules', 'x'))('ws')
const children = []

/** Starts a process that ends with this one, and collects what it prints. */
function start(command, args, env = {}) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  child.text = ''
  child.stdout.on('data', (chunk) => {
    child.text += chunk
    child.emit('text')
  })
  child.on('exit', () => child.emit('text'))
  return child
}

const ended = (child) => child.exitCode !== null || child.signalCode !== null

/** Waits until a process has printed something that matches. */
async function printed(child, pattern) {
  const deadline = AbortSignal.timeout(patience)
  for (;;) {
    const match = child.text.match(pattern)
    if (match) return match
    if (ended(child)) throw new Error(`the process ended before it printed ${pattern}:\n${child.text}`)
    try {
      await once(child, 'text', { signal: deadline })
    } catch {
      throw new Error(`${pattern} was not printed:\n${child.text}`)
    }
  }
}

/** Ends a process and returns its exit status. */
async function stop(child) {
  if (!ended(child)) {
    const exit = once(child, 'exit', { signal: AbortSignal.timeout(patience) })
    child.kill('SIGTERM')
    await exit
  }
  return child.exitCode
}

async function history() {
  const response = await fetch(`http://${base}/rooms/general/messages`)
  assert.equal(response.status, 200)
  return response.json()
}

/** The seed's Quick Start: wscat -c ws://localhost:8787/ws/general */
async function quickStart() {
  const wscat = start(join(prefix, 'node_modules', '.bin', 'wscat'), ['-c', `ws://${base}/ws/general`])
  await printed(wscat, /"type":"welcome"/)
  wscat.stdin.write('{"type":"message","content":"hello from wscat"}\n')
  await printed(wscat, /"type":"message","message":\{.*"content":"hello from wscat"/)
  wscat.stdin.write('hello?\n')
  await printed(wscat, /"type":"error"/)
  await stop(wscat)
  assert.equal((await history())[0].content, 'hello from wscat')
}

/** The seed's Client Code, as it stands but for the address and the types. */
async function clientCode() {
  const seed = await readFile(new URL('../../shared/seed.md', import.meta.url), 'utf8')
  const block = seed.match(/\n## Client Code\n+```typescript\n([^]*?)```/)?.[1]
  assert.ok(block, 'the seed has no Client Code')
  const code = block.replace('wss://chat.example.com.ai', `ws://${base}`).replace('content: string', 'content')
  assert.ok(code.includes(base) && !code.includes(': string'))

  let render
  const rendered = new Promise((resolve) => (render = resolve))
  const currentUser = { $id: 'somebody-else' } // who a client says it is counts for nothing
  const run = new Function('WebSocket', 'renderMessage', 'currentUser', `${code}\nreturn { ws, sendMessage }`)
  const { ws, sendMessage } = run(WebSocket, render, currentUser)
  await once(ws, 'open', { signal: AbortSignal.timeout(patience) })
  sendMessage('hello from the seed')
  const message = await Promise.race([
    rendered,
    once(ws, 'close', { signal: AbortSignal.timeout(patience) }).then(() => assert.fail('closed before the message came')),
  ])
  assert.equal(message.content, 'hello from the seed')
  assert.equal(message.$type, 'Message')
  assert.equal(message.room, 'general')
  assert.match(message.author, /^guest-[0-9a-f]{6}$/)
  assert.ok(Math.abs(new Date(message.sent) - Date.now()) < 60_000)
  assert.deepEqual((await history())[0], message)
  ws.close()
  await once(ws, 'close', { signal: AbortSignal.timeout(patience) })
}

/** A person by name, and what a stop of the program looks like to them. */
async function stopping(server) {
  const ws = new WebSocket(`ws://${base}/ws/general?user=ann`)
  const [welcome] = await once(ws, 'message', { signal: AbortSignal.timeout(patience) })
  assert.equal(JSON.parse(welcome).users.at(-1), 'ann') // behind the guest, if that one's end is not told yet
  const closed = once(ws, 'close', { signal: AbortSignal.timeout(patience) })
  const status = await stop(server)
  assert.equal((await closed)[0], 1001)
  assert.equal(status, 0)
}

let failed
try {
  const server = start(program, [], { CHAT_DATA: data })
  await printed(server, /listening {2}http:\/\//)
  for (const check of [quickStart, clientCode, () => stopping(server)]) {
    await check()
    console.log(`  ok  ${check.name || 'stopping'}`)
  }
} catch (e) {
  failed = e
  console.error(e)
} finally {
  for (const child of children) if (!ended(child)) child.kill('SIGKILL')
}
process.exit(failed ? 1 : 0)
