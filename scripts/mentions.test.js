import { test, expect, connect, clock } from 'dotdo/test'

test('who is mentioned is told at once where an inbox is open', async () => {
  const bob = await connect('/users/bob/inbox')
  const ann = await connect('/ws/general?user=ann')
  ann.send({ type: 'message', content: 'hello @bob' })
  const { message } = await ann.nextWhere({ type: 'message' })
  expect(await bob.next()).toEqual({
    type: 'notification',
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
