import { test, expect } from 'dotdo/test'
import type { Store } from '../page/kept.ts'
import { Outbox } from '../page/outbox.ts'

class Memory implements Store {
  private readonly items = new Map<string, string>()
  getItem(key: string): string | null {
    return this.items.get(key) ?? null
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value)
  }
}

function open(store: Store): Outbox {
  let n = 0
  return new Outbox(store, 'outbox:ann', () => `id-${++n}`)
}

const message = (content: string) => ({ type: 'message', content }) as const

test('what was not acknowledged is there after a reload, in order, with the same ids', () => {
  const store = new Memory()
  const outbox = open(store)
  const first = outbox.add('general', message('one'), 1)!
  outbox.add('garden', message('elsewhere'), 2)
  outbox.add('general', message('two'), 3)
  outbox.add('general', message('three'), 4)
  outbox.remove(first.id)
  const again = new Outbox(store, 'outbox:ann', () => 'new')
  expect(again.waiting('general').map(({ id, request }) => [id, request])).toEqual([['id-3', message('two')], ['id-4', message('three')]])
  expect(again.waiting('garden')).toHaveLength(1)
  expect(new Outbox(store, 'outbox:bob', () => 'new').of('general')).toEqual([]) // it belongs to a person
})

test('what failed waits for the person, and is sent again under its id', () => {
  const outbox = open(new Memory())
  const { id } = outbox.add('general', message('one'), 1)!
  outbox.add('general', message('two'), 2)
  outbox.fail(id, 'no')
  expect(outbox.waiting('general').map((entry) => entry.id)).toEqual(['id-2'])
  expect(outbox.get(id)).toMatchObject({ error: 'no' })
  outbox.retry(id)
  expect(outbox.waiting('general').map((entry) => entry.id)).toEqual(['id-2', id])
  expect(outbox.get(id)!.error).toBeUndefined()
  outbox.fail('unknown', 'no')
  expect(outbox.retry('unknown')).toBeUndefined()
})

test('it has a bound', () => {
  const outbox = open(new Memory())
  let taken = 0
  while (outbox.add('general', message('x'), taken)) taken++
  expect(taken).toBe(200)
  outbox.remove('id-1')
  expect(outbox.add('general', message('x'), 0)?.room).toBe('general')
})

test('a store that has something else is no trouble', () => {
  for (const text of ['', '{', 'null', '{}', '[null, 1, {"id": 1}]', '"x"']) {
    const store = new Memory()
    store.setItem('outbox:ann', text)
    expect(open(store).of('general')).toEqual([])
  }
})
