// A chat room. Each is a durable object of its own: /ws/general is Room/general,
// with its own sockets and its own history. It sleeps whenever nobody talks; who
// is connected stays connected, and the next message wakes it.
//
// So nothing is kept in fields. Who is here is written on the sockets, what was
// said is in this.things, and both are there after a sleep.

import { $, DO } from 'dotdo'
import { isName, nameRule } from './lib/name.js'

const maxContent = 4000 // characters of a message: a long one, and no book
const defaultHistory = 50 // messages
const maxHistory = 100

/**
 * What a client sends: { type: 'message', content }. Whatever else it says of
 * itself (room, author) is not looked at.
 *
 * @param {string | ArrayBuffer} data
 * @returns {{ content?: string, error?: string }}
 */
function read(data) {
  if (typeof data !== 'string') return { error: 'a message is text, not binary' }
  let input
  try {
    input = JSON.parse(data)
  } catch {
    return { error: 'a message is JSON' }
  }
  if (input === null || typeof input !== 'object' || Array.isArray(input)) return { error: 'a message is a JSON object' }
  const { type, content } = input
  if (type !== 'message') return { error: "the type of a message is 'message'" }
  if (typeof content !== 'string') return { error: 'the content of a message is a string' }
  if (content.trim() === '') return { error: 'the message is empty' }
  if (content.length > maxContent) return { error: `the message is longer than ${maxContent} characters` }
  return { content }
}

/** A name for somebody who came without one: guest-3fa2c1. */
function guest() {
  const bytes = crypto.getRandomValues(new Uint8Array(3))
  return 'guest-' + Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

export default DO.extend({
  $type: 'Room',

  onRequest() {
    this.app.get('/ws/:room', (c) => this.connect(c))
    this.app.get('/rooms/:room/messages', (c) => this.history(c))
    this.app.get('/rooms/:room/presence', (c) => c.json({ room: this.ctx.id.name, users: this.present() }))
  },

  /** A person comes: /ws/general?user=ann. There is no login: ann is who says so. */
  async connect(c) {
    if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
      return c.json({ error: 'Upgrade Required' }, 426, { Upgrade: 'websocket' })
    }
    const room = this.ctx.id.name
    const user = c.req.query('user') ?? guest()
    if (!isName(room)) return c.json({ error: `the name of a room is ${nameRule}` }, 400)
    if (!isName(user)) return c.json({ error: `user is ${nameRule}` }, 400)

    await this.open(room)
    // Before this socket is among the room's: the others hear of a new person,
    // and nobody hears of a second tab.
    if (this.ctx.getWebSockets(`user:${user}`).length === 0) {
      this.broadcast(`room:${room}`, { type: 'presence', joined: [user] })
    }
    const [client, server] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(server, [`room:${room}`, `user:${user}`])
    server.serializeAttachment({ user, since: new Date() })
    server.send(JSON.stringify({ type: 'welcome', room, user, users: this.present().map((p) => p.user) }))
    return new Response(null, { status: 101, webSocket: client })
  },

  webSocketMessage(ws, data) {
    const { content, error } = read(data)
    if (error) {
      ws.send(JSON.stringify({ type: 'error', error }))
      return
    }
    this.say(ws.deserializeAttachment().user, content)
  },

  webSocketClose(ws) {
    const { user } = ws.deserializeAttachment()
    const others = this.ctx.getWebSockets(`user:${user}`).filter((other) => other !== ws)
    if (others.length === 0) this.broadcast(`room:${this.ctx.id.name}`, { type: 'presence', left: [user] })
  },

  /**
   * Puts a message into the history, shows it to everybody who is here, and
   * tells the world. All of it happens, or none: it is one turn.
   */
  say(author, content) {
    const room = this.ctx.id.name
    const message = this.things.create({ $type: 'Message', room, author, content, sent: new Date() })
    this.broadcast(`room:${room}`, { type: 'message', message })
    $.send('Message.sent', message)
  },

  /** Makes the room a thing, and known, when the first person comes. */
  async open(room) {
    if (await this.things.get(room)) return
    $.send('Room.created', this.things.create({ $type: 'Room', $id: room, name: room }))
  },

  /** Who is here, in the order in which they came, and over how many sockets. */
  present() {
    const sockets = new Map()
    for (const ws of this.ctx.getWebSockets(`room:${this.ctx.id.name}`)) {
      const { user } = ws.deserializeAttachment()
      sockets.set(user, (sockets.get(user) ?? 0) + 1)
    }
    return Array.from(sockets, ([user, sockets]) => ({ user, sockets }))
  },

  /** The newest messages first: /rooms/general/messages?limit=20. */
  async history(c) {
    const limit = Number(c.req.query('limit') ?? defaultHistory)
    if (!Number.isInteger(limit) || limit < 1 || limit > maxHistory) {
      return c.json({ error: `limit is a number from 1 to ${maxHistory}` }, 400)
    }
    const messages = await this.things.list({
      $type: 'Message',
      where: { room: this.ctx.id.name },
      orderBy: { sent: 'desc' },
      limit,
    })
    return c.json(messages)
  },
})
