import { test, expect, connect, call, clock, request } from 'dotdo/test'

test('who is mentioned is told at once where an inbox is open', async () => {
  const bob = await connect('/users/bob/inbox')
  const ann = await connect('/ws/general?user=ann')
  ann.send({ type: 'message', content: 'hello @bob' })
  const { message } = await ann.nextWhere({ type: 'message' })
  expect(await bob.next()).toEqual({
    type: 'notification',
    id: expect.any(String),
    notification: { type: 'mention', room: 'general', from: 'ann', message: message.$id, content: 'hello @bob' },
  })
})

test('a mention is kept for who is away', async () => {
  const ann = await connect('/ws/general?user=ann')
  ann.send({ type: 'message', content: '@bob, are you there?' })
  await clock.advance('3d')
  const bob = await connect('/users/bob/inbox')
  expect(await bob.next()).toMatchObject({ notification: { from: 'ann', content: '@bob, are you there?' } })
})

test('nobody is told of their own mention', async () => {
  const ann = await connect('/ws/general?user=ann')
  const inbox = await connect('/users/ann/inbox')
  ann.send({ type: 'message', content: 'I am @ann' })
  await clock.advance('1s')
  expect(inbox.frames).toEqual([])
})

test('one message tells twenty people at most', async () => {
  const ann = await connect('/ws/general?user=ann')
  const names = Array.from({ length: 21 }, (_, i) => `user${i}`)
  ann.send({ type: 'message', content: names.map((name) => `@${name}`).join(' ') })
  await clock.advance('1s')
  const inboxes = await Promise.all(names.map((name) => connect(`/users/${name}/inbox`)))
  await clock.advance('1s')
  expect(inboxes.map((inbox) => inbox.frames.length)).toEqual(names.map((_, i) => (i < 20 ? 1 : 0)))
})

/** Ann in a room, to whom something can be done with what comes of it awaited. */
async function annIn(room) {
  const ann = await connect(`/ws/${room}?user=ann`)
  let n = 0
  return async (frame) => {
    const id = `${n++}`
    ann.send({ ...frame, id })
    const { message } = await ann.nextWhere({ type: 'ack', id })
    await clock.advance('1s')
    return message.$id
  }
}

const inboxOf = (user) => connect(`/users/${user}/inbox`)

/** What an inbox that is opened now says. */
async function keptFor(user) {
  const inbox = await inboxOf(user)
  await clock.advance('1s')
  inbox.close()
  return inbox.frames.map(({ notification }) => notification.content)
}

test('what an inbox says is what the message says', async () => {
  const act = await annIn('general')
  const message = await act({ type: 'message', content: 'hello @bob and @cat' })
  const bob = await inboxOf('bob')
  const { id, notification } = await bob.next()
  await act({ type: 'edit', message, content: 'good night @bob and @cat' })
  expect(await bob.next()).toEqual({ type: 'amend', id, notification: { ...notification, content: 'good night @bob and @cat' } })
  expect(await keptFor('cat')).toEqual(['good night @bob and @cat'])
  await act({ type: 'react', message, emoji: 'x', on: true })
  await act({ type: 'edit', message, content: 'good night @cat' })
  expect(await bob.next()).toEqual({ type: 'amend', id, notification: null })
  expect([await keptFor('bob'), await keptFor('cat')]).toEqual([[], ['good night @cat']])
  const cat = await inboxOf('cat')
  const { id: hers } = await cat.next()
  await act({ type: 'delete', message })
  expect(await cat.next()).toEqual({ type: 'amend', id: hers, notification: null })
  expect([await keptFor('bob'), await keptFor('cat')]).toEqual([[], []])
  expect(bob.frames).toHaveLength(3)
})

test('what was seen comes no more when it is edited, but its text is replaced where it is shown', async () => {
  const act = await annIn('general')
  const message = await act({ type: 'message', content: 'hello @bob' })
  const bob = await inboxOf('bob')
  const tab = await inboxOf('bob')
  const { id } = await bob.next()
  bob.send({ type: 'seen', id })
  await tab.nextWhere({ type: 'seen', id })
  tab.send({ type: 'seen', id })
  await act({ type: 'edit', message, content: 'good night @bob' })
  expect(await bob.next()).toMatchObject({ type: 'amend', id, notification: { content: 'good night @bob' } })
  expect(await keptFor('bob')).toEqual([])
  await act({ type: 'delete', message })
  expect(await bob.next()).toEqual({ type: 'amend', id, notification: null })
  expect(await keptFor('bob')).toEqual([])
})

test('an edit tells those whom it mentions first, and those again whom it mentions again', async () => {
  const act = await annIn('general')
  const message = await act({ type: 'message', content: 'hello' })
  const bob = await inboxOf('bob')
  await act({ type: 'edit', message, content: 'hello @bob and @ann' })
  const told = await bob.next()
  const { at } = told.notification
  expect(told.notification).toEqual({ type: 'mention', room: 'general', from: 'ann', message, at: expect.any(String), content: 'hello @bob and @ann' })
  expect(at > message).toBe(true)
  await act({ type: 'edit', message, content: 'hello, @bob' })
  expect(await bob.next()).toMatchObject({ type: 'amend', id: told.id, notification: { at, content: 'hello, @bob' } })
  await act({ type: 'edit', message, content: 'hello' })
  await bob.next()
  await act({ type: 'edit', message, content: '@bob' })
  const again = await bob.next()
  expect(again).toMatchObject({ type: 'notification', notification: { content: '@bob' } })
  expect(again.id > told.id).toBe(true)
  expect(await keptFor('bob')).toEqual(['@bob'])
  expect(await keptFor('ann')).toEqual([])
})

test('an edit reaches twenty people at most, and whom it no longer reaches has nothing of it', async () => {
  const act = await annIn('general')
  const names = Array.from({ length: 21 }, (_, i) => `user${i}`)
  const text = (people) => people.map((name) => `@${name}`).join(' ')
  const message = await act({ type: 'message', content: text(names.slice(1)) })
  expect([await keptFor('user0'), await keptFor('user20')]).toEqual([[], [text(names.slice(1))]])
  await act({ type: 'edit', message, content: text(names) })
  expect([await keptFor('user0'), await keptFor('user20')]).toEqual([[text(names)], []])
  await act({ type: 'delete', message })
  for (const name of names) expect(await keptFor(name)).toEqual([])
})

test('in a private room nobody else is told of an edit, and who has left keeps no text of it', async () => {
  const setMembers = (members) => request('PUT', '/rooms/secret/members?user=ann', { body: { members } })
  await setMembers(['bob'])
  const act = await annIn('secret')
  const message = await act({ type: 'message', content: 'for @bob, not @eve' })
  expect([await keptFor('bob'), await keptFor('eve')]).toEqual([['for @bob, not @eve'], []])
  const eve = await inboxOf('eve')
  await setMembers([])
  await act({ type: 'edit', message, content: 'neither @bob nor @eve' })
  await act({ type: 'edit', message, content: 'neither @eve nor @bob' })
  expect([await keptFor('bob'), await keptFor('eve')]).toEqual([[], []])
  expect(eve.frames).toEqual([])
})

test('versions of a mention may come in any order, and again', async () => {
  const mention = (version, content) => ({ version, mention: { type: 'mention', room: 'general', from: 'ann', message: 'm', content } })
  const said = [mention(1, '@bob 1'), mention(2, '@bob 2'), mention(3)]
  let n = 0
  const again = [...said, mention(4, '@bob 4')]
  for (const [versions, kept] of [[said.slice(0, 2), ['@bob 2']], [said, []], [again, ['@bob 4']]]) {
    for (const order of permutations(versions)) {
      const user = `bob${n++}`
      for (const versions of [order, order]) {
        for (const { mention, version } of versions) await call.User(user).mentioned(mention, version)
        expect(await keptFor(user)).toEqual(kept)
      }
    }
  }
})

function permutations(list) {
  if (list.length < 2) return [list]
  return list.flatMap((first, i) => permutations([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [first, ...rest]))
}
