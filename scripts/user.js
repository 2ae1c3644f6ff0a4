// A person: a profile, and an inbox for what others want to tell them.
//
// Any other object reaches both with a call: await $.User('ann').profile.name,
// or $.User('ann').notify({ ... }).

import { DO } from 'dotdo'
import { isName, nameRule } from './lib/name.js'

// What an inbox keeps for somebody who is away; the oldest goes when there is more.
const maxKept = 1000 // notifications
const maxKeptBytes = 900_000 // together: they must fit into one socket's send queue (1 MiB)

const maxLength = { name: 80, about: 500 } // characters of the fields of a profile

/** Thrown for a profile that cannot be; the message is meant for whoever sent it. */
class ProfileError extends TypeError {}

/** Takes what a profile may hold, and nothing else. */
function checkProfile(profile) {
  if (profile === null || typeof profile !== 'object' || Array.isArray(profile)) throw new ProfileError('a profile is an object')
  const checked = {}
  for (const [field, value] of Object.entries(profile)) {
    if (!Object.hasOwn(maxLength, field)) throw new ProfileError(`a profile has no ${JSON.stringify(field)}`)
    if (typeof value !== 'string') throw new ProfileError(`${field} is a string`)
    if (value.length > maxLength[field]) throw new ProfileError(`${field} is longer than ${maxLength[field]} characters`)
    checked[field] = value.trim()
  }
  if (checked.name === '') throw new ProfileError('name is empty')
  return checked
}

export default DO.extend({
  $type: 'User',

  onRequest() {
    this.app.use('/users/:user/*', async (c, next) => {
      if (!isName(c.req.param('user'))) return c.json({ error: `the name of a user is ${nameRule}` }, 400)
      await next()
    })
    this.app.get('/users/:user/inbox', (c) => this.openInbox(c))
    this.app.get('/users/:user/profile', async (c) => c.json(await this.getProfile()))
    this.app.put('/users/:user/profile', async (c) => {
      try {
        return c.json(await this.setProfile(await c.req.json()))
      } catch (e) {
        if (e instanceof ProfileError) return c.json({ error: e.message }, 400)
        if (e instanceof SyntaxError) return c.json({ error: 'a profile is JSON' }, 400)
        throw e
      }
    })
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

  /** Tells the person something: at once where an inbox is open, else when one is. */
  async notify(notification) {
    const inboxes = this.ctx.getWebSockets('inbox').filter((ws) => ws.readyState === WebSocket.OPEN)
    if (inboxes.length === 0) return this.keep(notification)
    const text = JSON.stringify({ type: 'notification', notification })
    for (const ws of inboxes) ws.send(text)
  },

  /** Keeps a notification until an inbox is opened. */
  async keep(notification) {
    const kept = (await this.ctx.storage.get('kept')) ?? 0
    if (kept < maxKept) {
      await this.ctx.storage.put('kept', kept + 1)
    } else {
      const [oldest] = await this.things.list({ $type: 'Notification', orderBy: { $id: 'asc' }, limit: 1 })
      await this.things.delete(oldest.$id)
    }
    this.things.create({ $type: 'Notification', notification })
  },

  /** Opens an inbox, and delivers what was kept for it, the oldest first. */
  async openInbox(c) {
    if (c.req.header('Upgrade')?.toLowerCase() !== 'websocket') {
      return c.json({ error: 'Upgrade Required' }, 426, { Upgrade: 'websocket' })
    }
    const [client, server] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(server, ['inbox'])
    for (const text of await this.takeKept()) server.send(text)
    return new Response(null, { status: 101, webSocket: client })
  },

  /** Takes the kept notifications out, as the texts to send, the oldest first. */
  async takeKept() {
    const kept = await this.things.list({ $type: 'Notification', orderBy: { $id: 'desc' }, limit: maxKept })
    await this.ctx.storage.delete('kept')
    const texts = []
    let bytes = 0
    for (const { $id, notification } of kept) {
      await this.things.delete($id)
      const text = JSON.stringify({ type: 'notification', notification })
      bytes += new TextEncoder().encode(text).length
      if (bytes <= maxKeptBytes) texts.unshift(text)
    }
    return texts
  },
})
