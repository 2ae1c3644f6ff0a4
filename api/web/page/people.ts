// The list of who is here.

import { avatar } from './avatar.ts'
import { arrange, byId, element, setAttribute, setText } from './element.ts'
import type { Room } from './room.ts'

const shown = 200 // people; more are counted only

export class People {
  private readonly list = byId('people')
  private readonly count = byId('people-count')

  /** Pressing a person mentions them. */
  constructor(mention: (user: string) => void) {
    this.list.onclick = (event) => {
      const button = (event.target as Element).closest('button')
      if (button) mention(button.closest('li')!.dataset['user']!)
    }
  }

  show(room: Room): void {
    const { users, count } = room.presence
    const named = users.slice(0, shown)
    const items = new Map([...this.list.children].map((item) => [(item as HTMLElement).dataset['user'] ?? '', item]))
    const more = count > named.length ? [element('li', { class: 'more' }, `and ${count - named.length} more`)] : []
    arrange(this.list, [...named.map((user) => items.get(user) ?? person(user, user === room.me)), ...more])
    const known = room.greeted && room.refusal === ''
    setText(this.count, known ? String(count) : '')
    const toggle = byId('people-toggle')
    setText(toggle.querySelector('.count')!, known ? String(count) : '')
    setAttribute(toggle, 'aria-label', known ? `People, ${count} here` : 'People')
  }
}

function person(user: string, isMe: boolean): HTMLElement {
  const name = element('bdi', { class: 'name' }, user)
  if (isMe) return element('li', { 'data-user': user }, avatar(user), name, element('span', { class: 'you' }, 'you'))
  return element('li', { 'data-user': user }, element('button', { type: 'button', title: `Mention ${user}` }, avatar(user), name))
}
