// The chat as a whole: the rooms and the inbox on one side, what is on the screen on the
// other, and which of them is told what.

import { Announcer } from './announcer.ts'
import { backoff } from './backoff.ts'
import { Composer } from './composer.ts'
import type { Refusal, State } from './connection.ts'
import { dayOf } from './day.ts'
import { Drafts } from './drafts.ts'
import { Drawer } from './drawer.ts'
import { byId, setText } from './element.ts'
import { format, plainText } from './format.ts'
import { showSign } from './icon.ts'
import { Inbox, positionOf, type Notification } from './inbox.ts'
import { askToken } from './join.ts'
import { ofTab } from './kept.ts'
import { showMe } from './me.ts'
import type { Action } from './message.ts'
import { Messages } from './messages.ts'
import { Notifications } from './notifications.ts'
import { newID, Outbox } from './outbox.ts'
import { People } from './people.ts'
import { Picker } from './picker.ts'
import { defaultRoom, placeOf } from './place.ts'
import { typingText } from './presence.ts'
import type { Message, Request } from './protocol.ts'
import { Room, type Change } from './room.ts'
import { RoomList, Rooms } from './rooms.ts'
import { shownOf, type MessageRow } from './rows.ts'
import { Refused, Server, type Identity } from './server.ts'
import { Toast } from './toast.ts'

const asleep = 120_000 // ms without a tick: the machine slept, and its sockets may be dead
const tick = 15_000 // ms
const unseenDraw = 250 // ms until what has changed is drawn in a window that has no frames
const undoFor = 5000 // ms in which a deletion can be taken back
const shownFor = 6000 // ms that a trouble is shown
const slow = 1500 // ms that connecting may take before it is said

export class Chat {
  private readonly server: Server
  private readonly outbox: Outbox
  private readonly rooms: Rooms
  private readonly inbox: Inbox
  private readonly announcer = new Announcer()
  private readonly toast = new Toast()
  private readonly picker = new Picker()
  private readonly list: RoomList
  private readonly messages: Messages
  private readonly composer: Composer
  private readonly people: People
  private readonly notifications: Notifications
  private readonly drawers: readonly Drawer[]
  private open: Room | undefined
  private readonly due = new Set<Change | 'mentions'>() // what is to be drawn
  private typingTimer: number | undefined
  private slowTimer: number | undefined
  private isSlow = false

  constructor(private readonly identity: Identity) {
    this.server = new Server(identity)
    this.outbox = new Outbox(ofTab, `outbox:${identity.user}`, newID)
    this.rooms = new Rooms(this.server, (name, wasJoined) => this.makeRoom(name, wasJoined), () => this.roomsChanged())
    this.inbox = new Inbox(this.server, {
      changed: () => this.draw('mentions'),
      arrived: (notification) => this.mentioned(notification),
      outdated: (mention) => this.notifications.close(mention),
      refused: (why, message) => this.refused(undefined, why, message),
    })
    this.list = new RoomList(this.server, (name) => this.leave(name), (name) => this.go(name), () => {
      this.closeDrawers()
      this.write()
    })
    this.messages = new Messages({
      act: (action, row, button) => this.act(action, row, button),
      react: (message, emoji, on) => void this.ask({ type: 'react', message: message.$id, emoji, on }),
      moved: () => this.look(),
      enter: () => {
        this.turn()
        this.write()
      },
      quit: () => this.open && this.leave(this.open.name),
      leave: () => this.composer.focus(),
    })
    this.composer = new Composer({
      send: (content) => this.say(content),
      edit: (message, content) => this.ask({ type: 'edit', message: message.$id, content }),
      edits: (message) => {
        this.messages.mark(message)
        if (message) this.announcer.say('Editing your message')
      },
      typing: (is) => (is ? this.open?.ownTyping.note() : this.open?.ownTyping.stop()),
      last: () => this.messages.lastOwn()?.message,
      message: (id) => this.open && shownOf(this.open, id),
      candidates: () => this.candidates(),
      tell: (text) => this.fail(text),
    }, new Drafts(ofTab, identity.user))
    this.people = new People((user) => {
      this.closeDrawers()
      this.composer.mention(user)
    })
    this.notifications = new Notifications(this.inbox, (room, message) => this.go(room, message))
    this.drawers = [
      new Drawer('sidebar', 'rooms-toggle', '(max-width: 760px)'),
      new Drawer('people-panel', 'people-toggle', '(max-width: 1080px)'),
    ]
  }

  begin(): void {
    showMe(this.identity, () => this.rooms.forget())
    addEventListener('hashchange', () => this.turn())
    addEventListener('online', () => this.hurry(true))
    addEventListener('offline', () => this.suspect())
    addEventListener('focus', () => this.back())
    // Firefox closes the sockets of a page that is left before it is hidden. A phone may say no more than that it is.
    for (const end of ['beforeunload', 'pagehide']) addEventListener(end, () => this.rooms.all.forEach((room) => room.hasten()))
    document.addEventListener('visibilitychange', () => this.back())
    byId('rooms').addEventListener('click', () => this.closeDrawers())
    this.watchClock()
    this.inbox.connection.connect()
    void this.loadRooms()
    this.turn()
    for (const name of this.outbox.rooms) this.rooms.finish(name) // it was left while something waited
    this.write()
  }

  /** Has the server's list of rooms. Until then it is as it was remembered. */
  private async loadRooms(failed = 0): Promise<void> {
    try {
      await this.rooms.load(placeOf(location.hash).room)
    } catch (error) {
      if (!(error instanceof Refused) || error.retryAfter !== undefined) setTimeout(() => void this.loadRooms(failed + 1), backoff(failed))
    }
  }

  /** Goes to where one writes, unless that would bring up a keyboard on the screen. */
  private write(byKey = false): void {
    if (byKey || !matchMedia('(pointer: coarse)').matches) this.composer.focus()
  }

  private closeDrawers(): void {
    for (const drawer of this.drawers) drawer.close()
  }

  /** Turns to the room, and the message, of the address. */
  private turn(): void {
    const { room: name, message } = placeOf(location.hash)
    const room = this.rooms.join(name)
    this.closeDrawers()
    if (room !== this.open) {
      this.open?.leave()
      this.open = room
      room.open()
      this.announcer.clear()
      this.toast.hide()
      setText(byId('room-title'), name)
      this.messages.open(room)
      this.composer.open(name)
      this.draw('people', 'typing', 'connection', 'unread')
      this.look()
    }
    if (message === undefined) return
    void this.messages.find(message).then((found) => {
      if (!found) this.fail('That message is not there any more.')
    })
    history.replaceState(null, '', `#${name}`) // so that the same link leads there again
  }

  private go(name: string, message?: string): void {
    const hash = message === undefined ? `#${name}` : `#${name}/${message}`
    if (this.open?.name === name) { // to go back leads to another room
      history.replaceState(null, '', hash)
      this.turn()
    } else location.hash = hash
    if (message === undefined) this.write()
  }

  private leave(name: string): void {
    if (this.rooms.all.length === 1) {
      if (name === defaultRoom) return this.fail('One room stays.')
      this.rooms.join(defaultRoom)
    }
    this.rooms.leave(name)
    if (this.open?.name === name) this.go(this.rooms.get(defaultRoom)?.name ?? this.rooms.all[0]!.name)
  }

  private makeRoom(name: string, wasJoined: boolean): Room {
    return new Room(name, this.identity.user, this.server, this.outbox, {
      changed: (room, what) => {
        if (what === 'connection' && room.connection.state === 'open') this.rooms.tell().catch(() => undefined)
        if (room === this.open) this.draw(what)
        else if (what === 'unread' || what === 'people') this.draw('unread')
      },
      arrived: (room, message) => {
        if (room === this.open) this.announcer.message(message, plainText(format(message.content)))
      },
      failed: (room, error) => this.fail(`${room.name}: ${error}`),
      refused: (room, why) => this.refused(room, why, room.refusal),
      isLookedAt: (room) => this.isLookedAt(room),
    }, wasJoined)
  }

  private say(content: string): boolean {
    this.messages.toEnd()
    return this.ask({ type: 'message', content })
  }

  private ask(request: Request): boolean {
    const refusal = this.open?.refusal
    if (!refusal && this.open?.ask(request)) return true
    this.fail(refusal || 'Too much waits to be sent.')
    return false
  }

  private act(action: Action, row: MessageRow, button: HTMLElement): void {
    const { message, entry } = row
    const room = this.open
    if (!room) return
    const byKey = button.matches(':focus-visible')
    switch (action) {
      case 'react':
        return this.picker.open(button, (emoji) => this.ask({ type: 'react', message: message.$id, emoji, on: true }))
      case 'edit':
        return this.composer.edit(message)
      case 'retry':
        return entry && room.retry(entry.id)
      case 'discard':
        if (entry) room.discard(entry.id)
        return message.$id === '' ? this.write(byKey) : undefined // or the message is still there
      case 'delete':
        return this.delete(room, message, byKey)
    }
  }

  /** Deletes a message in a moment, in which it can be taken back. */
  private delete(room: Room, message: Message, byKey: boolean): void {
    const asked = room.ask({ type: 'delete', message: message.$id }, undoFor)
    if (!asked) return this.fail('Too much waits to be sent.')
    this.composer.drop(message)
    this.announcer.say('Message deleted')
    this.write(byKey)
    this.toast.show('Message deleted.', undoFor, {
      name: 'Undo', take: () => room.discard(asked.id), focus: byKey, leave: () => this.write(byKey),
    })
  }

  private candidates(): readonly string[] {
    const room = this.open
    if (!room) return []
    const authors = room.timeline.messages.map((message) => message.author).reverse()
    return [...new Set([...authors, ...room.presence.users])].filter((user) => user !== this.identity.user)
  }

  private isLookedAt(room: Room): boolean {
    return room === this.open && this.messages.showsEnd && document.visibilityState === 'visible' && document.hasFocus()
  }

  /** Notes what the person sees now. */
  private look(): void {
    const room = this.open
    if (room?.greeted && this.isLookedAt(room)) {
      room.markRead()
      this.inbox.seeRead((mention) => positionOf(mention) <= (this.rooms.get(mention.room)?.read ?? ''))
    }
  }

  /** The person is back: what waits to connect need not wait. */
  private back(): void {
    this.look()
    if (document.visibilityState === 'visible') this.hurry()
  }

  private roomsChanged(): void {
    if (this.open && !this.rooms.get(this.open.name)) { // left in another window
      this.open = undefined
      location.hash = this.rooms.all[0]?.name ?? defaultRoom
    }
    this.draw('unread')
  }

  private mentioned(notification: Notification): void {
    this.look()
    const { mention } = notification
    const room = this.rooms.get(mention.room)
    if (room && positionOf(mention) <= room.read) return
    this.notifications.tell(notification)
    if (room !== this.open) this.announcer.say(`${mention.from} mentioned you in ${mention.room}`)
  }

  private refused(room: Room | undefined, why: Refusal, message: string): void {
    if (why === 'unknown' || why === 'expired') {
      for (const other of this.rooms.all) other.end()
      this.inbox.connection.end()
      return askToken(message)
    }
    if (room === undefined || room !== this.open) return
    this.announcer.say(message)
    this.composer.close()
    this.draw('messages', 'people', 'connection')
  }

  private fail(error: string): void {
    this.toast.show(error, shownFor)
    this.announcer.say(error)
  }

  private hurry(isOnlineAgain = false): void {
    for (const room of this.rooms.all) room.connection.hurry(isOnlineAgain)
    this.inbox.connection.hurry(isOnlineAgain)
  }

  private suspect(): void {
    for (const room of this.rooms.all) room.connection.suspect()
    this.inbox.connection.suspect()
    this.draw('connection')
  }

  /** A machine that slept has sockets that are dead and don't know it. And at midnight, today is yesterday. */
  private watchClock(): void {
    let last = Date.now()
    setInterval(() => {
      const now = Date.now()
      if (now - last > asleep) this.suspect()
      if (dayOf(now) !== dayOf(last)) this.draw('messages')
      last = now
    }, tick)
  }

  /** Draws with the next frame, once for all that happens until then: in a flood, too. A window that nobody sees has no frames. */
  private draw(...what: (Change | 'mentions')[]): void {
    if (this.due.size === 0) {
      const draw = () => {
        cancelAnimationFrame(frame)
        clearTimeout(timer)
        this.drawDue()
      }
      const frame = requestAnimationFrame(draw)
      const timer = setTimeout(draw, unseenDraw)
    }
    for (const each of what) this.due.add(each)
  }

  private drawDue(): void {
    const due = new Set(this.due)
    this.due.clear()
    const room = this.open
    this.list.show(this.rooms.all)
    this.showTitle()
    if (due.has('mentions')) this.notifications.show()
    if (!room) return
    if (due.has('messages') || due.has('connection')) {
      this.messages.show()
      this.look()
    }
    if (due.has('messages')) this.composer.follow()
    if (due.has('loading')) this.messages.showNotice()
    if (due.has('people')) this.people.show(room)
    if (due.has('typing') || due.has('people')) this.showTyping(room)
    if (due.has('connection')) this.showConnection(room.connection.state)
    showSign(byId('room-sign'), room.isPrivate)
    byId('app').classList.toggle('closed', room.refusal !== '')
  }

  private showTyping(room: Room): void {
    clearTimeout(this.typingTimer)
    const users = room.typing.users(Date.now())
    setText(byId('typing'), typingText(users))
    if (users.length > 0) this.typingTimer = setTimeout(() => this.showTyping(room), 1000)
  }

  /** Says that the room is not connected: not while it is just connecting, which is quick. */
  private showConnection(state: State): void {
    clearTimeout(this.slowTimer)
    if (state === 'open') this.isSlow = false
    if (state === 'waiting') this.isSlow = true
    if (state === 'connecting' && !this.isSlow) {
      this.slowTimer = setTimeout(() => {
        this.isSlow = true
        this.draw('connection')
      }, slow)
    }
    const text = state === 'open' || state === 'ended' || !this.isSlow ? '' : navigator.onLine ? 'Reconnecting…' : 'Offline'
    setText(byId('connection'), text)
    byId('app').classList.toggle('offline', text !== '')
  }

  private showTitle(): void {
    const name = this.open?.name ?? defaultRoom
    const { unseen } = this.inbox
    const isNew = this.rooms.all.some((room) => room.unread > 0)
    const title = `${unseen > 0 ? `(${unseen}) ` : isNew ? '• ' : ''}#${name} · Chat`
    if (document.title !== title) document.title = title
  }
}
