import { test, expect, connect, request, call, clock, hibernate } from 'dotdo/test'
import { historyOf } from './lib/history.js'

const page = async (query) => (await request('GET', `/rooms/general/messages${query}`)).json()
const contents = (messages) => messages.map((message) => message.content).join(' ')

/** Has ann say so many numbers, and returns the messages. */
async function count(ann, from, to) {
  const messages = []
  for (let i = from; i <= to; i++) {
    ann.send({ type: 'message', content: String(i) })
    messages.push((await ann.nextWhere({ type: 'message' })).message)
  }
  return messages
}

/** What a socket was told of messages. */
const told = (socket) => socket.frames.filter((frame) => frame.type === 'message' || frame.type === 'gap')

test('the history is the newest first, and only as long as asked', async () => {
  const ann = await connect('/ws/general?user=ann')
  await count(ann, 1, 60)
  const newest = await page('')
  expect(newest).toHaveLength(50)
  expect(newest[0]).toMatchObject({ author: 'ann', content: '60' })
  expect(contents(await page('?limit=3'))).toBe('60 59 58')
})

test('pages before and after a message are the whole history, without gaps or doubles', async () => {
  const ann = await connect('/ws/general?user=ann')
  const all = await count(ann, 1, 10) // in the same millisecond: nothing lets time go on
  for (const [way, whole] of [['before', all.toReversed()], ['after', all]]) {
    const seen = []
    for (let more = ['']; more.length > 0; ) {
      more = await page(`?limit=3&${way}=${seen.length > 0 ? seen[seen.length - 1].$id : ''}`)
      seen.push(...more)
      if (seen.length < 10) await count(ann, 11, 11) // somebody goes on writing
    }
    expect(seen.filter((message) => message.content !== '11')).toEqual(whole)
    expect(new Set(seen.map((message) => message.$id)).size).toBe(seen.length)
  }
})

test('a page is asked for with the $id of a message of the room', async () => {
  const ann = await connect('/ws/general?user=ann')
  const [message] = await count(ann, 1, 1)
  expect(await page(`?after=${message.$id}`)).toEqual([])
  expect(await page(`?before=${message.$id}`)).toEqual([])
  const other = await connect('/ws/other?user=ann')
  const [elsewhere] = await count(other, 1, 1)
  const wrong = ['unknown', 'general', elsewhere.$id, message.$id.toLowerCase(), '%27%20OR%201=1', '%00', 'x'.repeat(3000)]
  for (const id of wrong) {
    for (const way of ['after', 'before']) {
      const answer = await request('GET', `/rooms/general/messages?${way}=${id}`)
      expect(answer.status).toBe(400)
      expect(await answer.json()).toEqual({ error: `${way} is a position in this room, the $id of a message or a change` })
    }
  }
  for (const query of [`after=${message.$id}&before=${message.$id}`, 'after=&before=', 'limit=0', 'limit=101', 'limit=none', `limit=1.5&after=${message.$id}`]) {
    expect((await request('GET', `/rooms/general/messages?${query}`)).status).toBe(400)
  }
})

test('who comes back is sent what was missed, in order, and then what comes', async () => {
  const ann = await connect('/ws/general?user=ann')
  const [first, ...missed] = await count(ann, 1, 5)
  await clock.advance('1h')
  await hibernate('Room/general')
  const bob = await connect(`/ws/general?user=bob&since=${first.$id}`)
  const next = await count(ann, 6, 6)
  expect(await bob.next()).toMatchObject({ type: 'welcome', latest: missed[3].$id, missed: 4 })
  await clock.advance('1s')
  expect(told(bob)).toEqual([...missed, ...next].map((message) => ({ type: 'message', message })))

  const cat = await connect(`/ws/general?user=cat&since=${next[0].$id}`)
  expect(await cat.next()).toMatchObject({ type: 'welcome', latest: next[0].$id, missed: 0 })
  await clock.advance('1s')
  expect(told(cat)).toEqual([])
})

test('who has never seen a message can come back, too', async () => {
  const ann = await connect('/ws/general?user=ann')
  expect(await ann.next()).toMatchObject({ type: 'welcome', latest: null })
  const early = await connect('/ws/general?user=bob&since=') // of latest: null
  expect(await early.next()).toMatchObject({ type: 'welcome', latest: null })
  const messages = await count(ann, 1, 2)
  const late = await connect('/ws/general?user=bob&since=')
  expect(await late.next()).toMatchObject({ type: 'welcome', latest: messages[1].$id })
  expect(await late.next()).toEqual({ type: 'message', message: messages[0] })
  expect(await late.next()).toEqual({ type: 'message', message: messages[1] })
  expect(await (await connect('/ws/general?user=cat')).next()).toMatchObject({ latest: messages[1].$id })
  expect(told(early)).toHaveLength(2)
})

test('a message that nobody knows is a gap', async () => {
  const ann = await connect('/ws/general?user=ann')
  for (const since of ['unknown', 'general', '%00', '01ARZ3NDEKTSV4RRFFQ69G5FAV']) {
    const bob = await connect(`/ws/general?user=bob&since=${since}`)
    expect(await bob.next()).toMatchObject({ type: 'welcome', latest: null, missed: 1 })
    expect(await bob.next()).toEqual({ type: 'gap', since: null, latest: null })
  }
  const [message] = await count(ann, 1, 1)
  const bob = await connect('/ws/general?user=bob&since=unknown')
  expect(await bob.nextWhere({ type: 'gap' })).toEqual({ type: 'gap', since: null, latest: message.$id })
  await count(ann, 2, 2)
  await clock.advance('1s')
  expect(told(bob)).toHaveLength(2) // what comes live comes all the same
})

test('who has missed too much is told where to read it', async () => {
  const ann = await connect('/ws/general?user=ann')
  const [first] = await count(ann, 1, 1)
  const many = async (n, content) => { for (let i = 0; i < n; i++) await call.Room('general').say('ann', content) }
  await many(500, 'x')
  const bob = await connect(`/ws/general?user=bob&since=${first.$id}`) // 500 just fit
  await clock.advance('1s')
  expect(told(bob).map((frame) => frame.type)).toEqual(Array(500).fill('message'))
  const last = await call.Room('general').say('ann', 'one more')
  const cat = await connect(`/ws/general?user=cat&since=${first.$id}`)
  await clock.advance('1s')
  expect(told(cat)).toEqual([{ type: 'gap', since: first.$id, latest: last.$id }])
  let seen = []
  for (let id = first.$id; id !== last.$id; id = seen[seen.length - 1].$id) {
    seen = seen.concat(await page(`?limit=100&after=${id}`))
  }
  expect(seen).toHaveLength(501)
})

test('what was missed fits into a send queue', async () => {
  const ann = await connect('/ws/general?user=ann')
  const [first] = await count(ann, 1, 1)
  const longest = 'ä'.repeat(4000) // 8,000 bytes
  for (let i = 0; i < 108; i++) await call.Room('general').say('ann', longest)
  const bob = await connect(`/ws/general?user=bob&since=${first.$id}`)
  await clock.advance('1s')
  expect(told(bob)).toHaveLength(108)
  for (let i = 0; i < 10; i++) await call.Room('general').say('ann', longest)
  const cat = await connect(`/ws/general?user=cat&since=${first.$id}`)
  await clock.advance('1s')
  expect(told(cat)).toMatchObject([{ type: 'gap', since: first.$id }])
})

test('of what is too much no more is read than shows that it is', async () => {
  let read = 0
  /** A history of so many messages, with their changes after them. */
  const missed = async (count, changes, content) => {
    read = 0
    const thing = (id) => ({ $id: id, $type: id[0] === 'C' ? 'Change' : 'Message', content, message: id.replace('C', 'M') })
    const things = {
      get: async (id) => (read++, thing(id)),
      list: async ({ $type, where, orderBy, limit }) => {
        const end = $type === 'Message' ? count : changes
        const from = orderBy.$id === 'desc' ? end - 1 : +where.$id.$gt.slice(1) + 1
        const length = Math.max(0, Math.min(limit, end - from))
        read += length
        return Array.from({ length }, (_, i) => thing($type[0] + String(from + i).padStart(4, '0')))
      },
    }
    const [first] = (await historyOf(/** @type {any} */ (things)).missed('M0000')).frames
    return JSON.parse(first).type
  }
  expect(await missed(400, 0, 'x')).toBe('message')
  expect(read).toBeGreaterThan(399)
  expect(await missed(500, 0, 'x'.repeat(30_000))).toBe('gap') // 30 of them are too much
  expect(read).toBeLessThan(100)
  expect(await missed(1000, 1000, 'x')).toBe('gap')
  expect(read).toBeLessThan(600)
})
