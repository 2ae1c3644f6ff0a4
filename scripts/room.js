// A chat room. Each is a durable object of its own: /ws/general is Room/general,
// with its own sockets and its own history. It sleeps whenever nobody talks; who
// is connected stays connected, and the next message wakes it.
//
// So nothing that counts is kept in variables. Who is here is written on the sockets,
// what was said is in this.things, and both are there after a sleep.

import { $, DO } from 'dotdo'
import { history, missed } from './lib/history.js'
import { firstOf, limitOf } from './lib/limit.js'
import { readMessage } from './lib/message.js'
import { isName, nameRule } from './lib/name.js'

// Who comes and who goes is told a room in one frame for all of a while, or a
// crowd that comes would hear of each of its people one by one. Nobody hears of
// who is back within the while. It is longer in a large room, so that however
// many come and go, the frames stay below maxTold a second.
const gather = 250 // ms
const maxTold = 10_000 // frames a second: what a crowd costs grows with it, not with its square
const maxNamed = 100 // people in one frame; how many there are is in its count
const maxPage = 1000 // people in one answer

// What a room knows while it is awake: each has a virtual machine of its own, and so
// variables of its own, until it sleeps.

/** @type {Set<string> | undefined} whom everybody has been told of */
let known
/** @type {Set<string> | undefined} of whom nobody has been told yet */
let changed
let opened = false

/** A name for somebody who came without one: guest-3fa2c1. */
function guest() {
  const bytes = crypto.getRandomValues(new Uint8Array(6))
  return 'guest-' + Array.from(bytes, (b) => (b % 16).toString(16)).join('')
}

export default DO.extend({
  $type: 'Room',

  onRequest() {
    this.app.get('/ws/:room', (c) => this.connect(c))
    this.app.get('/rooms/:room/messages', (c) => history(this.things, c))
    this.app.get('/rooms/:room/presence', (c) => this.presence(c))
  },

  /**
   * A person comes: /ws/general?user=ann. There is no login: ann is who says so. With
   * &since=ID, the $id of the last message that she has seen, she is first sent what
   * she missed. She is among the room's sockets with the end of this turn, so nothing
   * falls between that and what comes live, and nothing is in both.
   */
  async connect(c) {
    if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
      return c.json({ error: 'Upgrade Required' }, 426, { Upgrade: 'websocket' })
    }
    const room = this.ctx.id.name
    const user = c.req.query('user') ?? guest()
    if (!isName(room)) return c.json({ error: `the name of a room is ${nameRule}` }, 400)
    if (!isName(user)) return c.json({ error: `user is ${nameRule}` }, 400)

    await this.open(room)
    const { latest, frames } = await missed(this.things, c.req.query('since'))
    const told = this.known() // before this socket is among the room's
    const isNew = !told.has(user)
    if (told.size === 0) known = undefined // nobody is to be told; who comes next finds this one here
    else if (isNew) this.changes(user)
    const [client, server] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(server, [`room:${room}`, `user:${user}`])
    server.serializeAttachment({ user, since: new Date() })
    // What everybody has been told, and this person: the next frame goes on from there.
    const users = firstOf(told, maxNamed)
    if (isNew && users.length < maxNamed) users.push(user)
    server.send(JSON.stringify({ type: 'welcome', room, user, users, count: told.size + (isNew ? 1 : 0), latest }))
    for (const frame of frames) server.send(frame)
    return new Response(null, { status: 101, webSocket: client })
  },

  webSocketMessage(ws, data) {
    const { id, content, error } = readMessage(data)
    if (error) ws.send(JSON.stringify({ type: 'error', error, id }))
    else if (id !== undefined) return this.sayOnce(ws, id, content)
    else this.say(ws.deserializeAttachment().user, content)
  },

  webSocketClose(ws) {
    this.changes(ws.deserializeAttachment().user)
  },

  /** Notes that somebody may have come or gone. The room is told in a while. */
  changes(user) {
    const told = this.known()
    if (!changed) {
      setTimeout(() => this.tell(), Math.max(gather, (told.size * 1000) / maxTold))
      changed = new Set()
    }
    changed.add(user)
  },

  /**
   * Tells the room who came and who left since it was last told. A note is only a
   * hint: a turn that fails takes its socket back, but not what it noted. So it is
   * the sockets that say who is here.
   */
  tell() {
    const told = this.known()
    const joined = []
    const left = []
    for (const user of changed ?? []) {
      const here = this.ctx.getWebSockets(`user:${user}`).length > 0
      if (here === told.has(user)) continue // in another tab, or back, or gone again
      if (here) told.add(user)
      else told.delete(user)
      if (here) joined.push(user)
      else left.push(user)
    }
    changed = undefined
    if (joined.length === 0 && left.length === 0) return
    const more = Math.max(0, joined.length - maxNamed) + Math.max(0, left.length - maxNamed)
    this.broadcast(`room:${this.ctx.id.name}`, {
      type: 'presence',
      joined: firstOf(joined, maxNamed),
      left: firstOf(left, maxNamed),
      more: more || undefined, // came or left and are not named
      count: told.size,
    })
  },

  /**
   * The people that the room has been told of. A room sleeps only when it has
   * told all, so after a sleep they are those who are here: one walk over the
   * sockets. If the virtual machine is lost earlier, which takes a turn without end
   * or a disk that fails, who came or left just before is never named; the next
   * frame has the right count.
   */
  known() {
    known ??= new Set(Object.keys(this.present()))
    return known
  },

  /**
   * Puts a message into the history, shows it to everybody who is here, and
   * tells the world. All of it happens, or none: it is one turn.
   */
  say(author, content, id) {
    const room = this.ctx.id.name
    const message = this.things.create({ $type: 'Message', room, author, content, sent: new Date(), id })
    this.broadcast(`room:${room}`, { type: 'message', message })
    $.send('Message.sent', message)
    return message
  },

  /**
   * Says a message once, however often it comes. A client that gives its message an id
   * may send it again until it is acknowledged, over another socket too: the first time
   * counts, and every time has the same answer. An id belongs to its author, and is
   * remembered for as long as the room. Whoever has the acknowledgement of the first time has
   * the message before it, as everybody else.
   */
  async sayOnce(ws, id, content) {
    const { user } = ws.deserializeAttachment()
    const key = `sent:${user}:${id}` // no name has a colon
    const sent = await this.ctx.storage.get(key)
    const message = sent ? await this.things.get(sent) : this.say(user, content, id)
    if (!sent) await this.ctx.storage.put(key, message.$id)
    ws.send(JSON.stringify({ type: 'ack', id, message }))
  },

  /** Makes the room a thing, and known, when the first person comes. */
  async open(room) {
    opened ||= (await this.things.get(room)) !== null
    if (!opened) $.send('Room.created', this.things.create({ $type: 'Room', $id: room, name: room }))
  },

  /** Over how many sockets each person is here, by name. (A Map costs an awake room 8 KB.) */
  present() {
    const sockets = Object.create(null)
    for (const ws of this.ctx.getWebSockets(`room:${this.ctx.id.name}`)) {
      const { user } = ws.deserializeAttachment()
      sockets[user] = (sockets[user] ?? 0) + 1
    }
    return sockets
  },

  /** Who is here, by name: /rooms/general/presence?limit=20&after=ann. */
  presence(c) {
    const limit = limitOf(c, maxPage, maxPage)
    if (!limit) return c.json({ error: `limit is a number from 1 to ${maxPage}` }, 400)
    const after = c.req.query('after') ?? ''
    const people = this.present()
    const names = Object.keys(people).sort()
    const users = []
    for (const user of names) {
      if (user > after && users.push({ user, sockets: people[user] }) === limit) break
    }
    return c.json({ room: this.ctx.id.name, users, count: names.length })
  },
})
