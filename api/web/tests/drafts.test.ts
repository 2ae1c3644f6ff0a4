import { test, expect } from 'dotdo/test'
import { Drafts } from '../page/drafts.ts'

function store() {
  const items = new Map<string, string>()
  return { getItem: (key: string) => items.get(key) ?? null, setItem: (key: string, value: string) => void items.set(key, value) }
}

test('a room has a draft and an edit, which are a person\'s own', () => {
  const kept = store()
  const drafts = new Drafts(kept, 'ann')
  const edit = { message: '01', content: 'before', text: 'after' }
  drafts.keepText('general', 'hello')
  drafts.keepEdit('general', edit)
  const again = new Drafts(kept, 'ann')
  expect([again.text('general'), again.edit('general')]).toEqual(['hello', edit])
  expect([again.text('garden'), again.edit('garden')]).toEqual(['', undefined])
  expect(new Drafts(kept, 'bob').edit('general')).toBeUndefined()
  again.keepEdit('general', null)
  expect([drafts.text('general'), drafts.edit('general')]).toEqual(['hello', undefined])
})

test('what is no edit is not taken up', () => {
  for (const text of ['', '{', 'null', '1', '[]', '{"message":"01","content":"x"}', '{"message":1,"content":"x","text":"y"}']) {
    const kept = store()
    kept.setItem('edit:ann:general', text)
    expect(new Drafts(kept, 'ann').edit('general')).toBeUndefined()
  }
})
