// What was begun and not sent: in each room a draft, and an edit. They are a person's own.

/** An edit that was begun. */
export interface Begun {
  readonly message: string // its $id
  readonly content: string // what the message said then
  readonly text: string
}

/** Where they are kept. */
export interface Store {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
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
    try {
      const edit: unknown = JSON.parse(this.store.getItem(`edit:${this.user}:${room}`) ?? 'null')
      return isBegun(edit) ? edit : undefined
    } catch {
      return undefined
    }
  }

  keepEdit(room: string, edit: Begun | null): void {
    this.store.setItem(`edit:${this.user}:${room}`, JSON.stringify(edit))
  }
}

function isBegun(value: unknown): value is Begun {
  const { message, content, text } = (value ?? {}) as Partial<Record<keyof Begun, unknown>>
  return [message, content, text].every((part) => typeof part === 'string')
}
