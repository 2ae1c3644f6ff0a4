import { test, expect, clock } from 'dotdo/test'
import { Inbox } from '../page/inbox.ts'
import { FakeServer } from './_fakes.ts'

function open() {
  const fake = new FakeServer()
  const arrived: string[] = []
  const outdated: string[] = []
  Object.assign(fake, { identity: { user: 'ann' } })
  const inbox = new Inbox(fake.server, {
    changed: () => undefined,
    arrived: ({ id }) => arrived.push(id),
    outdated: ({ content }) => outdated.push(content),
    refused: () => undefined,
  })
  inbox.connection.connect()
  fake.socket.accept()
  const mention = (room: string, message: string, content: string) => ({ type: 'mention', room, from: 'bob', message, content })
  const notify = (id: string, room: string, content = '@ann') => fake.socket.tell({ type: 'notification', id, notification: mention(room, id, content) })
  const amend = (id: string, content?: string) => fake.socket.tell({ type: 'amend', id, notification: content === undefined ? null : mention('general', id, content) })
  return { fake, inbox, arrived, outdated, notify, amend }
}

/** What is shown. */
const texts = (inbox: Inbox) => inbox.notifications.map(({ id, mention, seen }) => `${id} ${mention.content}${seen ? ', seen' : ''}`)

const unseen = (inbox: Inbox) => inbox.notifications.filter(({ seen }) => !seen).map(({ id }) => id).join(' ')

test('a mention comes once, the newest first, until all are seen', () => {
  const { fake, inbox, arrived, notify } = open()
  notify('1', 'general')
  notify('2', 'garden')
  notify('2', 'garden') // again, after a reconnect
  fake.socket.tell({ type: 'notification', id: '3', notification: { type: 'other' } }, { type: 'notification', id: '4' })
  expect([inbox.notifications.map(({ id }) => id), arrived, inbox.unseen]).toEqual([['2', '1'], ['1', '2'], 2])
  inbox.seeAll()
  expect([inbox.unseen, fake.socket.sent]).toEqual([0, [{ type: 'seen', id: '2' }]])
  inbox.seeAll()
  expect(fake.socket.sent).toHaveLength(1)
})

test('what is read in its room is seen, and the server is told as far as nothing before is unseen', () => {
  const { fake, inbox, notify } = open()
  notify('1', 'garden')
  notify('2', 'general')
  inbox.seeRead(({ room }) => room === 'general')
  expect([unseen(inbox), fake.socket.sent]).toEqual(['1', []])
  inbox.seeRead(({ room }) => room === 'garden')
  expect([unseen(inbox), fake.socket.sent]).toEqual(['', [{ type: 'seen', id: '2' }]])
})

test('what is seen in another window is seen here, and what was seen while away is told', async () => {
  const { fake, inbox, arrived, notify } = open()
  for (const id of ['1', '2', '3']) notify(id, 'general')
  fake.socket.tell({ type: 'seen', id: '2' })
  expect(unseen(inbox)).toBe('3')
  fake.socket.drop()
  inbox.seeAll()
  await clock.advance('1s')
  fake.socket.accept()
  expect(fake.socket.sent).toEqual([{ type: 'seen', id: '3' }])
  notify('2', 'general') // it was on its way
  expect([unseen(inbox), arrived]).toEqual(['', ['1', '2', '3']])
})

test('a mention says what its message says, seen or not, until it is taken back', () => {
  const { fake, inbox, arrived, outdated, notify, amend } = open()
  for (const id of ['1', '2', '3']) notify(id, 'general', `@ann ${id}`)
  fake.socket.tell({ type: 'seen', id: '1' })
  amend('1', '@ann, one')
  amend('2', '@ann, two')
  expect(texts(inbox)).toEqual(['3 @ann 3', '2 @ann, two', '1 @ann, one, seen'])
  amend('1')
  amend('3')
  amend('3')
  amend('4', 'of long ago, @ann')
  fake.socket.tell({ type: 'amend', id: '2' }, { type: 'amend', id: '2', notification: { type: 'mention' } }, { type: 'amend' })
  expect([texts(inbox), inbox.unseen]).toEqual([['2 @ann, two'], 1])
  expect([arrived, outdated]).toEqual([['1', '2', '3'], ['@ann 1', '@ann 2', '@ann, one', '@ann 3']])
})

test('after a reconnect no mention is shown that the server does not tell of again', async () => {
  const { fake, inbox, arrived, outdated, notify } = open()
  for (const id of ['1', '2', '3', '4']) notify(id, id === '3' ? 'garden' : 'general', `@ann ${id}`)
  fake.socket.tell({ type: 'seen', id: '1' })
  inbox.seeRead(({ room }) => room === 'garden') // which the server doesn't know
  const reconnect = async () => {
    fake.socket.drop()
    await clock.advance('10s')
    fake.socket.accept()
  }
  await reconnect()
  for (const id of ['2', '3', '4']) notify(id, 'general', `@ann ${id}`)
  fake.socket.drop()
  expect(texts(inbox)).toEqual(['4 @ann 4', '3 @ann 3, seen', '2 @ann 2']) // as it was, for who is offline
  await clock.advance('10s')
  fake.socket.accept()
  await reconnect() // before anything came
  notify('2', 'general', '@ann, two')
  for (const id of ['3', '5']) notify(id, 'general', `@ann ${id}`)
  expect(texts(inbox)).toEqual(['5 @ann 5', '3 @ann 3, seen', '2 @ann, two'])
  expect([arrived, outdated]).toEqual([['1', '2', '3', '4', '5'], ['@ann 2']])
})
