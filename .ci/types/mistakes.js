// Mistakes that an editor must see. Each has its own line, and a line above it
// that makes tsc fail if the mistake passes.

import { $, DO } from 'dotdo'
import * as dotdo from 'dotdo'

/** @typedef {{ $type: 'Message', author: string, likes: number }} Message */

// Globals.

// @ts-expect-error there is no page
document.querySelector('p')
// @ts-expect-error nor Node
process.exit(1)
// @ts-expect-error
new WebSocket('wss://example.com')
// @ts-expect-error
new Response('x', { code: 200 })
// @ts-expect-error
new Headers().get(1)
// @ts-expect-error
new URL('https://example.com').origin = 'x'
// @ts-expect-error
crypto.getRandomValues([1, 2, 3])
// @ts-expect-error
fetch('https://example.com', { redirect: 'never' })
// @ts-expect-error
setTimeout('code', 100)
// @ts-expect-error
dotdo.Do

// Events.

// @ts-expect-error a noun begins with a capital
$.on.message.sent(() => {})
// @ts-expect-error
$.on.Message.sent()
// @ts-expect-error
$.on.Message.sent(() => {}, { retries: 3 })
// @ts-expect-error
$.on.Message.sent(() => {}, { maxRetries: '3' })
// @ts-expect-error
$.every.day(() => {}, { maxRetries: true })
// @ts-expect-error an event has no message
$.on.Message.sent((event) => event.message)
// @ts-expect-error a Message has no text
$.on.Message.sent((/** @type {import('dotdo').Event<Message>} */ event) => event.data.text)
// @ts-expect-error
$.send('message', {})
// @ts-expect-error
$.send('message.sent', {})
// @ts-expect-error
$.every('0 9 * * 1')
// @ts-expect-error
$.every.fortnight(() => {})
// @ts-expect-error
$.every.day((run) => run.date)

// Parts.

// @ts-expect-error
DO.extend(() => {})
// @ts-expect-error
DO.extends({})
DO.extend({
  // @ts-expect-error a noun begins with a capital
  $type: 'room',
})
DO.extend({
  // @ts-expect-error
  indexes: 'author',
})
DO.extend({
  // @ts-expect-error
  init: true,
})
DO.extend({
  // @ts-expect-error the code of a close is a number
  webSocketClose(ws, code) { code.toUpperCase() },
})

DO.extend({
  $type: 'Room',
  /** @type {Set<string> | undefined} */
  told: undefined,

  onRequest() {
    // @ts-expect-error
    this.app.fetch('/x', (c) => c.text('x'))
    // @ts-expect-error a handler answers with a Response
    this.app.get('/x', () => ({ ok: true }))
    // @ts-expect-error the path has no rom
    this.app.get('/ws/:room', (c) => c.text(c.req.param('rom')))
    // @ts-expect-error
    this.app.get('/ws/:room/:n{[0-9]+}/:more?', (c) => c.text(c.req.param('n{[0-9]+}')))
    // @ts-expect-error it may be missing
    this.app.get('/ws/:room/:more?', (c) => c.text(c.req.param('more').trim()))
    // @ts-expect-error it may be missing
    this.app.get('/ws/:room', (c) => c.text(c.req.query('user').trim()))
    // @ts-expect-error nobody may have been verified
    this.app.get('/x', (c) => c.text(c.get('user').id))
    // @ts-expect-error
    this.app.get('/x', (c) => c.json({}, 'created'))
    // @ts-expect-error
    this.app.use('/x', async (c, next) => { next.then() })
  },

  webSocketMessage(ws, data) {
    // @ts-expect-error it may be binary
    data.trim()
    // @ts-expect-error
    ws.send({ type: 'hello' })
    // @ts-expect-error
    ws.close('bye')
    // @ts-expect-error
    ws.accept()
    // @ts-expect-error
    ws.addEventListener('close', () => {})
    // @ts-expect-error nobody may have been verified
    ws.user.id
    // @ts-expect-error
    if (ws.user) ws.user.claims.role = 'admin'
    // @ts-expect-error the runtime says who it is
    ws.user = { id: 'ann', claims: {} }
    // @ts-expect-error
    if (ws.readyState === 'open') return
    // @ts-expect-error
    this.say(1)
    // @ts-expect-error
    this.sya('x')
    // @ts-expect-error it may be undefined
    this.told.add('ann')
    // @ts-expect-error
    this.broadcast({ type: 'hello' })
    // @ts-expect-error a field is declared in the part
    this.count = 1
    // @ts-expect-error
    this.thing.list({ $type: 'Message' })
    // @ts-expect-error
    this.things = undefined
  },

  async say(/** @type {string} */ text) {
    // @ts-expect-error
    this.things.create({ text })
    // @ts-expect-error
    this.things.create({ $type: 'message', text })
    // @ts-expect-error
    this.things.create({ $type: 'Message', text }).txt
    // @ts-expect-error
    await this.things.list({ $type: 'Message', sortBy: 'sent' })
    // @ts-expect-error
    await this.things.list({ where: { text } })
    // @ts-expect-error
    await this.things.list({ $type: 'Message', orderBy: { sent: 'down' } })
    // @ts-expect-error
    await this.things.list({ $type: 'Message', where: { likes: { $more: 1 } } })
    // @ts-expect-error it may be null
    ;(await this.things.get('x')).likes
    /** @type {import('dotdo').Thing<Message> | null} */
    const message = await this.things.get('x')
    // @ts-expect-error
    message?.text
    // @ts-expect-error
    await this.things.update({ id: 'x' }, { text })
    // @ts-expect-error an update has no await
    this.things.update('x', { text }).likes
  },

  async keep() {
    // @ts-expect-error
    this.ctx.acceptWebSocket('x')
    // @ts-expect-error
    this.ctx.acceptWebSocket(new WebSocketPair()[1], 'room')
    // @ts-expect-error
    this.ctx.getWebSockets(['room'])
    // @ts-expect-error
    this.ctx.id.id
    // @ts-expect-error
    this.ctx.setWebSocketAutoResponse('ping', 'pong')
    // @ts-expect-error
    await this.ctx.storage.get(1)
    // @ts-expect-error undefined is no value
    await this.ctx.storage.put('x', undefined)
    // @ts-expect-error
    await this.ctx.storage.list({ from: 'a' })
    // @ts-expect-error
    await this.ctx.storage.setAlarm('tomorrow')
    // @ts-expect-error
    await this.ctx.storage.transaction((txn) => txn.setAlarm(1))
  },

  // @ts-expect-error
  alarm(info) { return info.attempt },

  async calls() {
    // @ts-expect-error a noun begins with a capital
    $.user('ann').notify('x')
    // @ts-expect-error
    $.User().notify('x')
    // @ts-expect-error
    $.User(7).notify('x')
    /** @type {import('dotdo').Stub<{ notify(text: string): void, getProfile(): { name: string } }>} */
    const ann = $.User('ann')
    // @ts-expect-error
    ann.notify(7)
    // @ts-expect-error
    ann.tell('x')
    // @ts-expect-error
    ann.getProfile().title
    // @ts-expect-error an await is missing
    ann.getProfile().name.trim()
    // @ts-expect-error
    ;(await ann.getProfile()).title
  },
})

DO.extend({
  $type: 'Room',
  webSocketMessage(ws, data) {
    // @ts-expect-error
    return this.sya(data)
  },
  say(data) {
    // @ts-expect-error
    return this.sya(data)
  },
})
