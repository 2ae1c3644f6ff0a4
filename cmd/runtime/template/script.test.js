// go run ./cmd/runtime test FILE
//
// Each test has an empty store and a clock of its own.

import { connect, expect, hibernate, request, test } from 'dotdo/test'

test('everybody hears what one says', async () => {
  const ann = await connect('/NAME/one')
  const bob = await connect('/NAME/one')
  ann.send('hello')
  expect(await bob.next()).toMatchObject({ $type: 'Note', text: 'hello' })
})

test('what was said is there after a sleep', async () => {
  const ann = await connect('/NAME/one')
  ann.send('hello')
  await ann.next()
  await hibernate('NOUN/one')
  const answer = await request('GET', '/NAME/one')
  expect(await answer.json()).toMatchObject([{ text: 'hello' }])
})
