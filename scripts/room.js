// A chat room. Each is a durable object of its own: /ws/general is Room/general,
// with its own sockets and its own history. It sleeps whenever nobody talks; who
// is connected stays connected, and the next message wakes it.
//
// So nothing that counts is kept in variables. Who is here is written on the sockets,
// what was said is in this.things, and both are there after a sleep.

import { $, DO, extractMentions } from 'dotdo'
import { ack, open, refuse, tell } from './lib/answer.js'
import { changeOf } from './lib/change.js'
import { readFrame } from './lib/frame.js'
import { historyOf } from './lib/history.js'
import { admit, create, membersOf, setMembers } from './lib/members.js'
import { isName, nameRule } from './lib/name.js'
import { comes, leaves, presence } from './lib/presence.js'
import { bucket, pace } from './lib/rate.js'
import { guest, userOf } from './lib/who.js'

const typed = bucket(1 / 2, 1) // how often a person is shown as typing, a second; clients show it for 5 s
const maxWatching = 200 // sockets: in a crowd nobody looks at who types, and it would cost the most

// What this room knows while it is awake.

let opened = false
/** @type {string | null | undefined} the newest position; undefined if it has to be looked up */
let latest

export default DO.extend({
  $type: 'Room',

  onRequest() {
    this.app.get('/ws/:room', (c) => this.connect(c))
    this.app.get('/rooms/:room/messages', (c) => admit(this, c).refusal ?? historyOf(this.things).page(c))
    this.app.get('/rooms/:room/presence', (c) => admit(this, c).refusal ?? presence(this, c))
    this.app.get('/rooms/:room/members', (c) => admit(this, c).refusal ?? c.json({ members: membersOf(this) }))
    this.app.put('/rooms/:room/members', (c) => setMembers(this, c))
  },

  /**
   * A person comes: /ws/general?user=ann. With &since=POSITION, up to which she knows
   * the room, she is first sent what she missed. She is among the room's sockets with the
   * end of this turn, so nothing falls between that and what comes live, and nothing is
   * in both.
   */
  async connect(c) {
    if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
      return c.json({ error: 'Upgrade Required' }, 426, { Upgrade: 'websocket' })
    }
    const room = this.ctx.id.name
    if (!isName(room)) return c.json({ error: `the name of a room is ${nameRule}` }, 400)
    const { user = guest(), refusal } = admit(this, c)
    if (refusal) return refusal

    opened ||= (await this.things.get(room)) !== null
    if (!opened) create(this, user)
    const since = c.req.query('since')
    let frames = []
    if (since !== undefined) ({ frames, latest } = await historyOf(this.things).missed(since))
    else if (latest === undefined) latest = await historyOf(this.things).newest()
    const read = this.ctx.storage.kv.get(`read:${user}`) ?? null
    const unread = read === null ? 0 : await historyOf(this.things).unread(read, user)
    const { users, count } = comes(this, user)
    const [client, server] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(server, [`room:${room}`, `user:${user}`])
    server.serializeAttachment({ user, since: new Date() })
    const isPrivate = membersOf(this) !== null
    server.send(JSON.stringify({ type: 'welcome', room, user, users, count, latest, read, unread, private: isPrivate, missed: frames.length }))
    for (const frame of frames) server.send(frame)
    return new Response(null, { status: 101, webSocket: client })
  },

  webSocketClose(ws) {
    leaves(this, userOf(ws))
  },

  webSocketMessage(ws, data) {
    if (ws.readyState !== open) return // who was taken out says nothing more
    const user = userOf(ws)
    const { frame, error } = readFrame(data)
    const retryAfter = pace(user)
    if (retryAfter > 0) return refuse(ws, frame, 'that is too fast', retryAfter)
    const before = frame.id && this.ctx.storage.kv.get(`sent:${user}:${frame.id}`)
    if (before) return this.things.get(before).then((message) => ack(ws, frame, message)) // as it is now
    if (error) return refuse(ws, frame, error) // what was done once may be too long by the rules of today
    if (frame.type === 'typing') return this.typing(ws, user, frame)
    if (frame.type === 'read') return this.read(ws, user, frame)
    if (frame.type === 'message') return this.did(ws, user, frame, this.say(user, frame.content, frame.id))
    return this.change(ws, user, frame)
  },

  /**
   * Acknowledges what somebody did to a message, and remembers it, so that it is done
   * once, however often it comes. A client that gives its frame an id may send it again
   * until it is acknowledged, over another socket too: the first time counts. An id
   * belongs to its author, and is remembered for as long as the room. Whoever has the
   * acknowledgement of the first time has the frame that shows the message before it, as
   * everybody else.
   */
  did(ws, user, frame, message) {
    if (frame.id !== undefined) this.ctx.storage.kv.put(`sent:${user}:${frame.id}`, message.$id) // no name has a colon
    ack(ws, frame, message)
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
    latest = undefined // and not this one: the turn may still fail
    return message
  },

  /**
   * Edits or deletes a message, or reacts to it, and shows it as it is then. What is so
   * already stays, and nobody is told. The world is told what a message says now, and whom
   * it mentioned before: not its text, which is to be gone.
   */
  async change(ws, user, frame) {
    const message = await this.things.get(frame.message)
    if (message?.$type !== 'Message') return refuse(ws, frame, 'there is no such message in this room')
    const { fields, error } = changeOf(message, user, frame)
    if (error) return refuse(ws, frame, error)
    if (!fields) return this.did(ws, user, frame, message)
    const changed = await this.things.update(message, fields)
    const { $id } = this.things.create({ $type: 'Change', message: message.$id })
    this.broadcast(`room:${this.ctx.id.name}`, { type: 'change', at: $id, message: changed })
    if (frame.type !== 'react') $.send('Message.changed', { message: changed, at: $id, before: extractMentions(message.content) })
    latest = undefined // as in say
    this.did(ws, user, frame, changed)
  },

  /** Tells the others that somebody is about to say something. */
  typing(ws, user, frame) {
    const here = this.ctx.getWebSockets(`room:${this.ctx.id.name}`)
    if (here.length <= maxWatching && typed(user) === 0) tell(here, this.ctx.getWebSockets(`user:${user}`), { type: 'typing', user })
    ack(ws, frame)
  },

  /** Keeps how far somebody has read, which only ever grows, and tells their other sockets. */
  async read(ws, user, frame) {
    const { at } = frame
    if (!(await historyOf(this.things).has(at))) return refuse(ws, frame, 'at is a position in this room')
    const { kv } = this.ctx.storage
    if (at > (kv.get(`read:${user}`) ?? '')) {
      kv.put(`read:${user}`, at)
      tell(this.ctx.getWebSockets(`user:${user}`), [ws], { type: 'read', at })
    }
    ack(ws, frame)
  },

  /** What a message says now, in which version, and who of these people may hear it. */
  async heard(id, users) {
    const message = await this.things.get(id)
    const members = membersOf(this)
    const admitted = members ? users.filter((user) => members.includes(user)) : users
    return { content: message?.content ?? '', version: message?.$version ?? 0, admitted }
  },
})
