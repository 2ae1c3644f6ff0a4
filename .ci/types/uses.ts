// What must pass: each with the type that its author expects.

import { $, DO, extractMentions, type Context, type Event, type Remote, type Stub, type Thing } from 'dotdo'

interface Message {
  $type: 'Message'
  $id: string
  room: string
  author: string
  content: string
  sent: Date
}

interface User {
  $type: 'User'
  $id: string
  name: string
}

interface UserObject {
  readonly profile: Promise<User>
  getProfile(): Promise<User>
  rename(name: string): Promise<void>
  notify(what: { type: string; room: string }): Promise<void>
}

/** is does not compile unless the value has just the type A. */
declare function is<A>(): <B>(value: B, same: Same<A, B>) => B
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : never

export default DO.extend({
  $type: 'Room',
  indexes: ['author', 'place.city'],
  opened: undefined as Date | undefined,

  async init() {
    await this.ctx.blockConcurrencyWhile(async () => {
      is<number | undefined>()(await this.ctx.storage.get<number>('count'), true)
    })
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
    this.opened ??= new Date()
  },

  onRequest() {
    this.app.use(async (c, next) => {
      c.set('name', 'ann')
      await next()
      c.header('x-name', c.get('name'))
      c.header('x-user', is<string | undefined>()(c.get('user')?.id, true))
      is<any>()(c.get('user')?.claims.role, true)
    })
    this.app
      .get('/ws/:room', (c) => this.connect(c))
      .get('/rooms/:room/:page{[0-9]+}', (c) => {
        is<string>()(c.req.param('room'), true)
        is<string>()(c.req.param('page'), true)
        is<string | undefined>()(c.req.query('limit'), true)
        return c.json({}, 201, { 'x-a': ['1', '2'] })
      })
      .get('/rooms/:room?', (c) => c.text(is<string | undefined>()(c.req.param('room'), true) ?? 'all'))
      .post('/rooms', async (c) => c.json(await c.req.json<Message>(), { status: 201 }))
    this.app.on(['GET', 'HEAD'], ['/a', '/b'], (c) => c.body(null, 204))
    this.app.onError((error, c) => c.text(error.message, 500))
    this.app.notFound(async (c) => c.html('<p>nothing</p>', 404))
    const path: string = '/any/:thing'
    this.app.basePath('/v1').all(path, (c) => c.text(is<string | undefined>()(c.req.param('thing'), true) ?? ''))
  },

  connect(c: Context<'/ws/:room'>) {
    const room = is<string>()(c.req.param('room'), true)
    const [client, server] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(server, [`room:${room}`])
    server.serializeAttachment({ user: 'ann' })
    return new Response(null, { status: 101, webSocket: client })
  },

  webSocketMessage(ws, data) {
    is<string | ArrayBuffer>()(data, true)
    is<{ user: string }>()(ws.deserializeAttachment<{ user: string }>(), true)
    this.say(String(data))
  },

  webSocketClose(ws, code, reason, wasClean) {
    is<boolean>()(wasClean, true)
    this.ctx.waitUntil(fetch('https://example.com', { method: 'POST', body: `${code} ${reason}`, signal: AbortSignal.timeout(1000) }))
  },

  async alarm(info) {
    if (info.retryCount > 3) await this.ctx.storage.deleteAlarm()
    else await this.ctx.storage.setAlarm(Date.now() + 60_000)
    is<number | null>()(await this.ctx.storage.getAlarm(), true)
  },

  /** Methods see each other, and what all objects have. */
  say(content: string) {
    const message = this.things.create({ $type: 'Message', room: 'a', author: 'ann', content, sent: new Date() })
    is<string>()(message.author, true)
    is<Date>()(message.$createdAt, true)
    this.broadcast('room:a', { type: 'message', message })
    is<string>()($.send('Message.sent', message), true)
    return message.$id
  },

  async history() {
    is<string>()(this.say('x'), true)
    const messages = await this.things.list<Message>({
      $type: 'Message',
      where: { room: 'a', author: { $in: ['ann', 'bob'] }, sent: { $gt: new Date(0) }, $createdAt: { $lt: new Date() }, 'place.city': 'Rome' },
      orderBy: { sent: 'desc' },
      limit: 50,
      after: 'x',
    })
    is<Thing<Message>[]>()(messages, true)
    is<number>()(await this.things.count('Message', { where: { author: 'ann' } }), true)
    const loose = await this.things.list({ $type: 'Message', orderBy: [{ sent: 'desc' }, '$id'] })
    is<any>()(loose[0].author, true)
    is<string | undefined>()((await this.things.get<Message>('x'))?.author, true)
    is<Thing<Message> | null>()(await this.things.update<Message>(messages[0], { content: 'y' }), true)
    is<boolean>()(await this.things.delete('x'), true)
    return messages
  },

  async keep() {
    const { storage } = this.ctx
    is<number | undefined>()(storage.kv.get<number>('count'), true)
    is<Map<string, number>>()(storage.kv.get<number>(['a', 'b']), true)
    is<void>()(storage.kv.put({ a: 1, b: null }), true)
    is<boolean>()(storage.kv.delete('a'), true)
    is<Map<string, any>>()(storage.kv.list({ prefix: 'a' }), true)
    await storage.put('a', 1)
    await storage.put({ a: 1, b: null })
    is<Map<string, number>>()(await storage.get<number>(['a', 'b']), true)
    is<Map<string, any>>()(await storage.list({ prefix: 'a', reverse: true, limit: 10 }), true)
    is<boolean>()(await storage.delete('a'), true)
    is<number>()(await storage.delete(['a', 'b']), true)
    const n = await storage.transaction(async (txn) => {
      if (await txn.get('a')) txn.rollback()
      return 7
    })
    is<number>()(n, true)
  },

  async calls(id: string) {
    const ann = $.User<UserObject>(id)
    is<Stub<UserObject>>()(ann, true)
    is<string>()(await ann.getProfile().name, true)
    is<string>()(await ann.profile.name, true)
    is<User>()(await ann.getProfile(), true)
    is<void>()(await ann.notify({ type: 'mention', room: 'a' }), true)
    ann.rename(ann.getProfile().name) // the promise of another call
    is<Remote<string>>()(ann.getProfile().name, true)
    $.User(id).notify({ type: 'mention' })
    is<any>()(await $.User(id).getProfile(), true)
    is<any>()(await $.User(id).getProfile().name, true)
    is<any>()(await $.User(id).profile.name.first, true)
    $.User(id).notify().catch(() => {})
    const [a, b] = await Promise.all([ann.getProfile(), $.User(id).profile])
    is<User>()(a, true)
    is<any>()(b, true)
  },
})

// A handler that returns what a method of its own part returns.
DO.extend({
  onRequest() {
    this.app.get('/x', (c) => this.show(c))
  },
  async webSocketMessage(ws, data) {
    return this.say(String(data))
  },
  say(content: string) {
    return content.length
  },
  show(c: Context) {
    return c.json(this.say('x'))
  },
})

$.on.Message.sent<Message>((event) => is<Message>()(event.data, true))
$.on.Message.sent((event: Event<Message>) => is<string>()(event.data.author, true), { name: 'mentions' })
$.on.Message.sent((event) => is<any>()(event.data, true))
$.on['*'].created(async (event) => is<Date>()(event.timestamp, true))
$.on.Message['*']((event) => is<string[]>()(extractMentions(event.type), true))
$.every('0 9 * * 1', async (run) => is<number>()(run.scheduledTime, true), { name: 'monday' })
$.every.minute(() => {})
$.every.hour(() => $.App('default').tidy())
$.every.day(() => {}, { name: 'daily' })

const url = new URL('/a?b=c', 'https://example.com')
url.searchParams.append('d', 'e')
for (const [name, value] of url.searchParams) console.log(name, value)
const decoded = new TextDecoder('utf-8', { fatal: true }).decode(new TextEncoder().encode('é'))
is<string>()(atob(btoa(decoded)) + crypto.randomUUID(), true)
const id = setTimeout((a: string, b: number) => console.log(a, b), 10, 'a', 1)
clearTimeout(id)
queueMicrotask(() => {})
const abort = new AbortController()
abort.signal.addEventListener('abort', () => {}, { once: true })
is<{ a: number }>()(structuredClone({ a: 1 }), true)
const request = new Request(url, { method: 'POST', headers: [['a', 'b']], body: new URLSearchParams({ a: 'b' }), signal: abort.signal })
fetch(request).then(async (response) => is<any>()(await response.clone().json(), true))
