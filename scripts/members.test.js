import { test, expect, connect, request, clock, hibernate } from 'dotdo/test'

/** Asks as a verified user, and returns status and body. */
async function ask(user, method, path, body) {
  const answer = await request(method, path, { user, body })
  return { status: answer.status, ...(await answer.json()) }
}

const members = (user, list, room = 'secret') => ask(user, 'PUT', `/rooms/${room}/members`, { members: list })
const listed = async () => (await (await request('GET', '/rooms')).json()).map(({ room }) => room)

test('a private room is its members’ only', async () => {
  expect(await members('ann', ['bob'])).toEqual({ status: 200, members: ['ann', 'bob'] }) // she who asks is among them
  const ann = await connect('/ws/secret', { user: 'ann' })
  const bob = await connect('/ws/secret', { user: 'bob' })
  expect(await bob.next()).toMatchObject({ type: 'welcome', private: true, users: ['ann', 'bob'] })
  ann.send({ type: 'message', content: 'psst' })
  await bob.nextWhere({ type: 'message' })
  for (const path of ['/rooms/secret/messages', '/rooms/secret/presence', '/rooms/secret/members']) {
    expect((await request('GET', path, { user: 'bob' })).status).toBe(200)
    for (const options of [{ user: 'eve' }, {}]) {
      const answer = await request('GET', path, options)
      expect(answer.status).toBe(403)
      expect(await answer.json()).toEqual({ error: 'this room is private, and you are no member' })
    }
  }
  await expect(connect('/ws/secret', { user: 'eve' })).rejects.toThrow('403')
  await expect(connect('/ws/secret?user=ann', { user: 'eve' })).rejects.toThrow('403')
  await expect(connect('/ws/secret')).rejects.toThrow('403') // a guest
  expect(await members('eve', ['eve'])).toMatchObject({ status: 403 })
  expect(await members('eve', null)).toMatchObject({ status: 403 })
  await clock.advance('1s')
  await hibernate('Room/secret')
  expect(await ask('bob', 'GET', '/rooms/secret/members')).toEqual({ status: 200, members: ['ann', 'bob'] })
  await expect(connect('/ws/secret', { user: 'eve' })).rejects.toThrow('403')
  await clock.advance('1m')
  expect(await listed()).toEqual([])
})

test('in development a member is who says so', async () => {
  expect((await request('PUT', '/rooms/secret/members?user=ann', { body: { members: [] } })).status).toBe(200)
  expect((await request('GET', '/rooms/secret/messages?user=ann')).status).toBe(200)
  expect((await request('GET', '/rooms/secret/messages?user=eve')).status).toBe(403)
  expect((await request('PUT', '/rooms/secret/members', { body: { members: null } })).status).toBe(400) // nobody asks
  await connect('/ws/secret?user=ann')
})

test('who is taken out has to go at once, and says and hears nothing more', async () => {
  await members('ann', ['bob'])
  const ann = await connect('/ws/secret', { user: 'ann' })
  const bob = await connect('/ws/secret', { user: 'bob' })
  const tab = await connect('/ws/secret', { user: 'bob' })
  await ann.nextWhere({ type: 'presence', joined: ['bob'] })
  expect(await members('ann', [])).toEqual({ status: 200, members: ['ann'] })
  if (bob.readyState === 1) bob.send({ type: 'message', content: 'one last word' })
  ann.send({ type: 'message', content: 'he is gone' })
  for (const socket of [bob, tab]) expect(await socket.closed()).toEqual({ code: 4003, reason: 'you are no member of this room any more' })
  await clock.advance('1m')
  expect(ann.frames.filter((frame) => frame.type === 'message').map((frame) => frame.message.content)).toEqual(['he is gone'])
  expect(bob.frames.concat(tab.frames).filter((frame) => frame.type === 'message')).toEqual([])
  expect(await ann.nextWhere({ type: 'presence', left: ['bob'] })).toMatchObject({ count: 1 })
  await expect(connect('/ws/secret', { user: 'bob' })).rejects.toThrow('403')
})

test('members say who the members are, and so does who opened the room', async () => {
  await connect('/ws/tea', { user: 'ann' })
  expect(await members('bob', ['bob'], 'tea')).toMatchObject({ status: 403 }) // the room is open to all, and hers
  expect(await members('ann', ['bob'], 'tea')).toMatchObject({ status: 200 })
  expect(await members('bob', ['cat'], 'tea')).toEqual({ status: 200, members: ['bob', 'cat'] }) // without ann
  expect(await ask('ann', 'GET', '/rooms/tea/members')).toMatchObject({ status: 403 })
  expect(await members('dan', ['dan'], 'tea')).toMatchObject({ status: 403 })
  expect(await members('ann', ['cat', 'cat', 'ann'], 'tea')).toEqual({ status: 200, members: ['ann', 'cat'] })
  expect(await members('cat', null, 'tea')).toEqual({ status: 200, members: null })
  expect(await ask('dan', 'GET', '/rooms/tea/members')).toEqual({ status: 200, members: null })
  expect(await members('cat', ['cat'], 'tea')).toMatchObject({ status: 403 }) // she was a member
  const dan = await connect('/ws/tea', { user: 'dan' })
  expect(await dan.next()).toMatchObject({ type: 'welcome', private: false })
})

test('a room is listed while it is open to all', async () => {
  await connect('/ws/tea', { user: 'ann' })
  await members('ann', [], 'coffee')
  await clock.advance('1s')
  expect(await listed()).toEqual(['tea'])
  await members('ann', [], 'tea')
  await members('ann', null, 'coffee')
  await clock.advance('1s')
  expect(await listed()).toEqual(['coffee'])
  await members('ann', null, 'tea')
  await members('ann', ['bob'], 'tea')
  await members('ann', ['cat'], 'tea')
  await members('ann', null, 'tea')
  await clock.advance('1s')
  expect(await listed()).toEqual(['coffee', 'tea'])
})

test('mentions in a private room reach its members only', async () => {
  await members('ann', ['bob'])
  const ann = await connect('/ws/secret', { user: 'ann' })
  ann.send({ type: 'message', content: '@bob and @eve, this is secret' })
  await clock.advance('1s')
  const bob = await connect('/users/bob/inbox', { user: 'bob' })
  const eve = await connect('/users/eve/inbox', { user: 'eve' })
  expect(await bob.next()).toMatchObject({ notification: { type: 'mention', room: 'secret', from: 'ann' } })
  await clock.advance('1s')
  expect(eve.frames).toEqual([])
})

test('what is no list of members is refused, and changes nothing', async () => {
  const many = (n) => Array.from({ length: n }, (_, i) => `user${i}`)
  const bad = [
    'no JSON', '', 'null', '7', [], {}, { members: 'ann' }, { members: undefined }, { members: {} }, { members: ['a b'] }, { members: [''] }, { members: [7] },
    { members: [null] }, { members: [['ann']] }, { members: many(501) }, { members: many(500) }, // and who asks
  ]
  for (const body of bad) {
    const answer = await request('PUT', '/rooms/secret/members', { user: 'ann', body })
    expect(answer.status).toBe(400)
    expect((await answer.json()).error).toContain('members')
  }
  expect(await members('ann', ['ann'], 'a%20b')).toMatchObject({ status: 400 })
  await clock.advance('1s')
  expect(await listed()).toEqual([])
  expect(await members('eve', many(499))).toMatchObject({ status: 200 }) // there was no such room yet
  expect((await ask('user7', 'GET', '/rooms/secret/members')).members).toHaveLength(500)
})

test('names of every kind are members like others', async () => {
  for (const user of ['__proto__', 'constructor', 'toString', '-', '.', 'members', 'x'.repeat(64)]) {
    expect(await members(user, ['valueOf'], '__proto__')).toMatchObject({ status: user === '__proto__' ? 200 : 403 })
  }
  const socket = await connect('/ws/__proto__', { user: '__proto__' })
  expect(await socket.next()).toMatchObject({ room: '__proto__', user: '__proto__', users: ['__proto__'], count: 1, private: true })
  expect(await ask('__proto__', 'GET', '/rooms/__proto__/presence')).toMatchObject({ users: [{ user: '__proto__', sockets: 1 }], count: 1 })
  await expect(connect('/ws/__proto__', { user: 'constructor' })).rejects.toThrow('403')
})

test('a verified user is the author, whatever else is said', async () => {
  const eve = await connect('/ws/general?user=ann', { user: 'eve' })
  expect(await eve.next()).toMatchObject({ type: 'welcome', user: 'eve' })
  eve.send({ type: 'message', content: 'I am ann', author: 'ann', user: 'ann' })
  expect(await eve.nextWhere({ type: 'message' })).toMatchObject({ message: { author: 'eve' } })
  await clock.advance('1h')
  await hibernate('Room/general')
  eve.send({ type: 'message', content: 'I am ann' })
  expect(await eve.nextWhere({ type: 'message' })).toMatchObject({ message: { author: 'eve' } })
  for (const user of ['ann lee', 'ann@example.com', 'a:b', 'ä', 'x'.repeat(65)]) {
    await expect(connect('/ws/general', { user })).rejects.toThrow('403')
    expect(await ask(user, 'GET', '/rooms/general/messages')).toMatchObject({ status: 403 })
    expect(await ask(user, 'PUT', '/rooms/new/members', { members: [] })).toMatchObject({ status: 403 })
  }
})
