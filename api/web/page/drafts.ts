// What was begun and not sent: in each room a draft, and an edit. They are a person's own.

import { readKept, type Store } from './kept.ts'

/** An edit that was begun. */
export interface Begun {
  readonly message: string // its $id
  readonly content: string // what the message said then
  readonly text: string
}

export class Drafts {
  constructor(
    private readonly store: Store,
    private readonly user: string,
  ) {}

  text(room: string): string {
    return this.store.getItem(`draft:${this.user}:${room}`) ?? ''
  }

  keepText(room: string, text: string): void {
    this.store.setItem(`draft:${this.user}:${room}`, text)
  }

  edit(room: string): Begun | undefined {
    const edit = readKept(this.store, `edit:${this.user}:${room}`)
    return isBegun(edit) ? edit : undefined
  }

  keepEdit(room: string, edit: Begun | null): void {
    this.store.setItem(`edit:${this.user}:${room}`, JSON.stringify(edit))
  }
}

function isBegun(value: unknown): value is Begun {
  const { message, content, text } = (value ?? {}) as Partial<Record<keyof Begun, unknown>>
  return [message, content, text].every((part) => typeof part === 'string')
}
