// The rooms that this person has joined, and the list of them.

import { arrange, byId, element, setAttribute } from './element.ts'
import { showSign } from './icon.ts'
import { ofBrowser, readKept } from './kept.ts'
import { isName, nameRule } from './protocol.ts'
import { Room } from './room.ts'
import { Refused, type Server } from './server.ts'

const maxRooms = 100 // as the server keeps for a person

type Method = 'PUT' | 'DELETE'

/** The joined rooms, in the order they were joined. The server keeps them, and this browser a copy for the next start. */
export class Rooms {
  private rooms: ReadonlyMap<string, Room> = new Map()
  private readonly others: BroadcastChannel | undefined // the person's other windows
  private telling: Promise<void> | undefined

  constructor(
    private readonly server: Server,
    private readonly make: (name: string, wasJoined: boolean) => Room,
    private readonly changed: () => void,
  ) {
    try {
      this.others = new BroadcastChannel(`rooms:${this.user}`)
      this.others.onmessage = ({ data }) => this.take(data)
    } catch {
      // some browsers forbid it with cookies: then each window has what the server says
    }
  }

  private get user(): string {
    return this.server.identity.user
  }

  private get path(): string {
    return `/users/${encodeURIComponent(this.user)}/rooms`
  }

  get all(): readonly Room[] {
    return [...this.rooms.values()]
  }

  get(name: string): Room | undefined {
    return this.rooms.get(name)
  }

  /** Begins with those of the last time, and takes the server's when they come. */
  async load(current: string): Promise<void> {
    if (this.rooms.size === 0) {
      const before = remembered(this.user)
      this.set([...before, current], before)
    }
    await this.tell()
    const { rooms } = await this.server.ask<{ rooms: string[] }>('GET', this.path)
    const untold = this.untold()
    const joined = rooms.filter((name) => untold.get(name) !== 'DELETE')
    for (const [name, method] of untold) if (method === 'PUT') joined.push(name) // meanwhile
    this.set([...joined, ...this.all.filter((room) => room.isOpen).map((room) => room.name), current], joined)
    if (joined.includes(current)) return
    this.note('PUT', current)
    await this.tell()
  }

  /** Does what is left to do in a room that is none of them. */
  finish(name: string): void {
    if (this.rooms.has(name) || !isName(name)) return
    const room = this.make(name, false)
    room.connection.connect()
    room.part()
  }

  /** Joins a room; one that let nobody in is tried again. */
  join(name: string): Room {
    const joined = this.rooms.get(name)
    if (joined?.refusal === '') return joined
    if (joined) this.rooms = new Map([...this.rooms].filter(([other]) => other !== name))
    this.set([...this.rooms.keys(), name])
    this.change('PUT', name)
    return this.rooms.get(name)!
  }

  /** Leaves a room. */
  leave(name: string): void {
    if (!this.rooms.has(name)) return
    this.set([...this.rooms.keys()].filter((other) => other !== name))
    this.change('DELETE', name)
  }

  /** Has this browser forget what they are called: somebody else may come. */
  forget(): void {
    ofBrowser.removeItem(`rooms:${this.user}`)
    ofBrowser.removeItem(`untold:${this.user}`)
  }

  /** Tells the server what it was not told yet. It throws where there is no answer: to be tried again when there may be. */
  tell(): Promise<void> {
    this.telling ??= this.tellEach().finally(() => (this.telling = undefined))
    return this.telling
  }

  private async tellEach(): Promise<void> {
    for (;;) {
      const [next] = this.untold()
      if (!next) return
      const [name, method] = next
      try {
        await this.server.ask(method, `${this.path}/${encodeURIComponent(name)}`)
      } catch (error) {
        if (!(error instanceof Refused) || error.status === 401 || error.retryAfter !== undefined) throw error
      } // what is refused for good is forgotten: the list is a convenience
      const untold = this.untold()
      if (untold.get(name) === method) untold.delete(name)
      this.keepUntold(untold)
    }
  }

  private change(method: Method, name: string): void {
    this.note(method, name)
    this.others?.postMessage([...this.rooms.keys()])
    this.tell().catch(() => undefined) // this browser remembers it
  }

  private note(method: Method, name: string): void {
    this.keepUntold(this.untold().set(name, method))
  }

  /** What the server was not told, by this window or another. */
  private untold(): Map<string, Method> {
    const entries = readKept(ofBrowser, `untold:${this.user}`)
    return new Map(Array.isArray(entries) ? entries.filter(isUntold) : [])
  }

  private keepUntold(untold: ReadonlyMap<string, Method>): void {
    ofBrowser.setItem(`untold:${this.user}`, JSON.stringify([...untold]))
  }

  private take(names: unknown): void {
    if (!Array.isArray(names)) return
    const open = this.all.filter((room) => room.isOpen).map((room) => room.name)
    this.set([...names.filter((name) => typeof name === 'string'), ...open])
  }

  private set(names: readonly string[], joined: readonly string[] = []): void {
    const before = this.rooms
    const made: Room[] = []
    this.rooms = new Map([...new Set(names.filter(isName).slice(-maxRooms))].map((name) => {
      const room = before.get(name) ?? this.make(name, joined.includes(name))
      if (!before.has(name)) made.push(room)
      return [name, room]
    }))
    for (const [name, room] of before) if (!this.rooms.has(name)) room.part()
    for (const room of made) room.connection.connect()
    remember(this.user, [...this.rooms.keys()])
    this.changed()
  }
}

function remembered(user: string): string[] {
  const names = readKept(ofBrowser, `rooms:${user}`)
  return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : []
}

function isUntold(entry: unknown): entry is [string, Method] {
  return Array.isArray(entry) && isName(entry[0]) && (entry[1] === 'PUT' || entry[1] === 'DELETE')
}

function remember(user: string, names: readonly string[]): void {
  ofBrowser.setItem(`rooms:${user}`, JSON.stringify(names))
}

/** 7, or 99+. */
export function countText(count: number): string {
  return count > 99 ? '99+' : String(count)
}

/** The list of rooms, and the form to open another. */
export class RoomList {
  private readonly list = byId('rooms')
  private readonly toggle = byId('rooms-toggle')
  private readonly form = byId<HTMLFormElement>('room-new')
  private readonly input = byId<HTMLInputElement>('room-name')

  constructor(
    private readonly server: Server,
    leave: (name: string) => void,
    open: (name: string) => void,
    write: () => void,
  ) {
    this.list.onclick = (event) => {
      const button = (event.target as Element).closest('button')
      const item = (event.target as Element).closest('li')
      if (!item) return
      const next = item.nextElementSibling ?? item.previousElementSibling
      if (button) leave(item.dataset['room']!)
      if (event.detail > 0) write() // by mouse: the focus is not to stay here
      else if (button) next?.querySelector('a')?.focus()
    }
    this.input.oninput = () => this.input.setCustomValidity('')
    this.input.onfocus = () => void this.suggest()
    this.form.onsubmit = (event) => {
      event.preventDefault()
      const name = this.input.value.trim().replace(/^#/, '').replace(/\s+/g, '-')
      if (!isName(name)) {
        this.input.setCustomValidity(`The name of a room is ${nameRule}.`)
        this.input.reportValidity()
        return
      }
      this.form.reset()
      open(name)
    }
  }

  show(rooms: readonly Room[]): void {
    const items = new Map([...this.list.children].map((item) => [(item as HTMLElement).dataset['room'], item]))
    const before = this.list.querySelector('[aria-current]')
    arrange(this.list, rooms.map((room) => {
      const item = items.get(room.name) ?? listItem(room.name)
      show(item, room)
      return item
    }))
    const current = this.list.querySelector('[aria-current]')
    if (current !== before) current?.scrollIntoView({ block: 'nearest' })
    const others = rooms.filter((room) => room.unread > 0 && !room.isOpen).length
    setAttribute(this.toggle, 'aria-label', others > 0 ? `Rooms, ${others} with new messages` : 'Rooms')
    setAttribute(this.toggle, 'data-new', others > 0)
  }

  /** Offers the names of rooms that there are. */
  private async suggest(): Promise<void> {
    const rooms = await this.server.ask<{ room: string }[]>('GET', '/rooms').catch(() => [])
    byId('room-names').replaceChildren(...rooms.slice(0, 200).map(({ room }) => element('option', { value: room })))
  }
}

function listItem(name: string): HTMLElement {
  return element('li', { 'data-room': name },
    element('a', { href: `#${name}` }, element('span', { class: 'hash', 'aria-hidden': true }, '#'), element('span', { class: 'name' }, name)),
    element('button', { type: 'button', class: 'leave', 'aria-label': `Leave ${name}`, title: 'Leave' }, '×'))
}

function show(item: Element, room: Room): void {
  const link = item.querySelector('a')!
  setAttribute(link, 'aria-current', room.isOpen ? 'page' : null)
  showSign(link.querySelector('.hash')!, room.isPrivate)
  let badge = link.querySelector('.unread')
  if (room.unread === 0) return badge?.remove()
  if (!badge) {
    badge = element('span', { class: 'unread' })
    link.append(badge)
  }
  const text = countText(room.unread)
  if (badge.textContent !== text) badge.textContent = text
  setAttribute(badge, 'title', `${text} unread`)
}
