// A person: a profile, the rooms that they have joined, and an inbox for what others
// want to tell them.
//
// Any other object reaches them with a call: await $.User('ann').profile.name,
// or $.User('ann').notify({ ... }).

import { DO } from 'dotdo'
import { refuse, tell } from './lib/answer.js'
import { readFrame } from './lib/frame.js'
import { isName, nameRule } from './lib/name.js'
import { checkProfile, ProfileError } from './lib/profile.js'

const maxRooms = 100 // that somebody has joined

// What an inbox keeps until it is seen, and of mentions who made them after that too; the
// oldest goes when there is more.
const maxKept = 1000 // notifications
const maxKeptBytes = 900_000 // that an inbox is sent when it is opened: a socket's send queue has 1 MiB
const step = 50 // notifications that are read at once: they may be large, and the person waits meanwhile

export default DO.extend({
  $type: 'User',
  indexes: ['notification.message'],

  onRequest() {
    this.app.use('/users/:user/*', async (c, next) => {
      if (!isName(c.req.param('user'))) return c.json({ error: `the name of a user is ${nameRule}` }, 400)
      await next()
    })
    this.app.get('/users/:user/profile', async (c) => c.json(await this.getProfile())) // anybody's
    this.app.use('/users/:user/*', async (c, next) => {
      const user = c.get('user') // undefined in development: then anybody is whoever they say
      if (user && user.id !== this.ctx.id.name) return c.json({ error: `this is for ${this.ctx.id.name} only` }, 403)
      await next()
    })
    this.app.put('/users/:user/profile', async (c) => {
      try {
        return c.json(await this.setProfile(await c.req.json()))
      } catch (e) {
        if (e instanceof ProfileError) return c.json({ error: e.message }, 400)
        if (e instanceof SyntaxError) return c.json({ error: 'a profile is JSON' }, 400)
        throw e
      }
    })
    this.app.get('/users/:user/rooms', (c) => c.json({ rooms: this.rooms() }))
    this.app.put('/users/:user/rooms/:room', (c) => this.join(c))
    this.app.delete('/users/:user/rooms/:room', (c) => this.leave(c))
    this.app.get('/users/:user/inbox', (c) => this.openInbox(c))
  },

  /** The profile for those who read one field of it: await $.User(id).profile.name. */
  get profile() {
    return this.getProfile()
  },

  /** The User thing. Somebody who has set nothing yet is called by their id. */
  async getProfile() {
    const id = this.ctx.id.name
    return (await this.things.get(id)) ?? { $type: 'User', $id: id, name: id }
  },

  /** Changes the fields that are given, { name, about }, and returns the profile. */
  async setProfile(profile) {
    const fields = checkProfile(profile)
    const id = this.ctx.id.name
    return (await this.things.update(id, fields)) ?? this.things.create({ name: id, ...fields, $type: 'User', $id: id })
  },

  /** @returns {string[]} the names of the rooms that the person has joined, in that order */
  rooms() {
    return this.ctx.storage.kv.get('rooms') ?? []
  },

  join(c) {
    const rooms = this.rooms()
    const room = c.req.param('room')
    if (!isName(room)) return c.json({ error: `the name of a room is ${nameRule}` }, 400)
    if (rooms.includes(room)) return c.json({ rooms })
    if (rooms.push(room) > maxRooms) return c.json({ error: `nobody joins more than ${maxRooms} rooms` }, 400)
    this.ctx.storage.kv.put('rooms', rooms)
    return c.json({ rooms })
  },

  leave(c) {
    const rooms = this.rooms().filter((room) => room !== c.req.param('room'))
    this.ctx.storage.kv.put('rooms', rooms)
    return c.json({ rooms })
  },

  /**
   * Tells the person something: where an inbox is open at once, and whenever one is, until it
   * is seen. What has a version is remembered after that, without what it said.
   */
  async notify(notification, version) {
    const { $id } = await this.keep({ notification, version })
    this.broadcast('inbox', { type: 'notification', id: $id, notification })
  },

  /**
   * Tells the person of a mention in a message, as it is in one of its versions; or, without
   * content, that the message mentions them no more. Versions may come in any order, and
   * again: the newest counts. So it is known of a mention that it was seen, or taken back,
   * but not what it said.
   */
  async mentioned(mention, version) {
    const { type, message, content } = mention
    const isOver = content === undefined
    const [told] = await this.things.list('Notification', { where: { 'notification.message': message, 'notification.type': type }, limit: 1 })
    if (told?.version >= version) return
    if (!told && isOver) return this.keep({ notification: mention, version, seen: true, over: true })
    if (!told || (told.over && !isOver)) {
      if (told) await this.things.delete(told.$id)
      return this.notify(mention, version)
    }
    const notification = { ...told.notification, content }
    const isSeen = isOver || told.seen || told.$id <= this.seenTo()
    const kept = isSeen ? { notification: { ...notification, content: undefined }, seen: true } : { notification }
    await this.things.update(told, { ...kept, over: isOver || undefined, version })
    if (!told.over) this.broadcast('inbox', { type: 'amend', id: told.$id, notification: isOver ? null : notification })
  },

  /** Keeps something that the person was told; the oldest goes for it if that is too much. */
  async keep(fields) {
    if ((await this.things.count('Notification')) >= maxKept) {
      const [oldest] = await this.things.list('Notification', { orderBy: { $id: 'asc' }, limit: 1 })
      await this.things.delete(oldest.$id)
    }
    return this.things.create({ ...fields, $type: 'Notification' })
  },

  /** Opens an inbox, and sends what was not seen yet, the oldest first. */
  async openInbox(c) {
    if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
      return c.json({ error: 'Upgrade Required' }, 426, { Upgrade: 'websocket' })
    }
    const [client, server] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(server, ['inbox'])
    for (const text of await this.unseen()) server.send(text)
    return new Response(null, { status: 101, webSocket: client })
  },

  /** What was not seen yet, as the texts to send, the oldest first: as much of the newest as fits. */
  async unseen() {
    const where = { $id: { $gt: this.seenTo() }, seen: null }
    const texts = []
    const encoder = new TextEncoder()
    let bytes = 0
    for (let some; (!some || some.length === step) && texts.length < maxKept; ) {
      some = await this.things.list('Notification', { where, orderBy: { $id: 'desc' }, limit: step, after: some?.[step - 1].$id })
      for (const { $id, notification } of some) {
        const text = JSON.stringify({ type: 'notification', id: $id, notification })
        bytes += encoder.encode(text).length
        if (bytes > maxKeptBytes) return texts.reverse()
        texts.push(text)
      }
    }
    return texts.reverse()
  },

  /** Up to which notification all were seen; some after it may be as well, and say so. */
  seenTo() {
    return this.ctx.storage.kv.get('seenTo') ?? ''
  },

  /**
   * An inbox says what the person has seen, { type: 'seen', id }: that notification and all
   * before it are gone, and their other inboxes hear of it. It may itself be gone by now, seen in
   * another inbox or told anew since.
   */
  async webSocketMessage(ws, data) {
    const { frame, error } = readFrame(data, ({ type, id }) => (type === 'seen' && id ? undefined : "an inbox is sent { type: 'seen', id }"))
    if (error) return refuse(ws, {}, error)
    const { id = '' } = frame
    if (id <= this.seenTo()) return
    const [newest] = await this.things.list('Notification', { orderBy: { $id: 'desc' }, limit: 1 })
    if (id.length !== newest?.$id.length || id > newest.$id) return // no id, or of what is yet to come
    this.ctx.storage.kv.put('seenTo', id)
    tell(this.ctx.getWebSockets('inbox'), [ws], { type: 'seen', id })
    await this.tidy()
  },

  /**
   * Takes what was seen: the text of what has a version, anything else whole. A few in this turn,
   * and as many in each that follows. If the program ends in between, what is seen next goes on.
   */
  async tidy() {
    const where = { $id: { $lte: this.seenTo() }, seen: null }
    const some = await this.things.list('Notification', { where, orderBy: { $id: 'asc' }, limit: step })
    for (const { $id, version, notification } of some) {
      if (version === undefined) await this.things.delete($id)
      else await this.things.update($id, { notification: { ...notification, content: undefined }, seen: true })
    }
    if (some.length === step) setTimeout(() => this.tidy(), 0)
  },
})
