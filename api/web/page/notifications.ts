// What is shown of mentions: the list, its badge, and, if the person wants them, the
// notifications of the system.

import { avatar } from './avatar.ts'
import { momentName } from './day.ts'
import { arrange, byId, element, setAttribute, setText } from './element.ts'
import { format, plainText } from './format.ts'
import type { Inbox, Notification as Mentioned } from './inbox.ts'
import { ofBrowser } from './kept.ts'
import { placeOf } from './place.ts'
import type { Mention } from './protocol.ts'
import { countText } from './rooms.ts'

const wanted = 'notifications' // in the browser: whether the system's are wanted
const longest = 140 // characters of what is shown

const hour = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' })
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })
const named = { hour: (date: Date) => hour.format(date), day: (date: Date) => day.format(date) }

export class Notifications {
  private readonly toggle = byId<HTMLButtonElement>('notifications-toggle')
  private readonly panel = byId('notifications-panel')
  private readonly list = byId('notifications')
  private readonly ask = byId<HTMLButtonElement>('notifications-ask')
  private readonly shown = new Map<string, Notification>() // by the system, by message

  constructor(
    private readonly inbox: Inbox,
    private readonly open: (room: string, message: string) => void,
  ) {
    this.panel.addEventListener('toggle', (event) => {
      const isOpen = (event as ToggleEvent).newState === 'open'
      setAttribute(this.toggle, 'aria-expanded', isOpen)
      if (isOpen) this.showAsk()
      else inbox.seeAll()
    })
    this.panel.addEventListener('beforetoggle', (event) => {
      if ((event as ToggleEvent).newState === 'open') this.show() // what was today may be yesterday
    })
    this.list.onclick = (event) => {
      const link = (event.target as Element).closest('a')
      if (!link) return
      this.panel.hidePopover()
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return // it is opened elsewhere
      event.preventDefault()
      const { room, message } = placeOf(link.hash)
      this.open(room, message!)
    }
    this.ask.onclick = () => void this.change()
  }

  show(): void {
    const { notifications, unseen } = this.inbox
    const items = new Map([...this.list.children].map((item) => [(item as HTMLElement).dataset['id'], item]))
    arrange(this.list, notifications.map((notification) => {
      const item = items.get(notification.id) ?? listItem(notification)
      show(item, notification)
      return item
    }))
    byId('notifications-none').hidden = notifications.length > 0
    setText(this.toggle.querySelector('.unread')!, unseen > 0 ? countText(unseen) : '')
    setAttribute(this.toggle, 'aria-label', unseen > 0 ? `Mentions, ${unseen} new` : 'Mentions')
  }

  /** Tells the system, if that is wanted and this window isn't looked at. Windows of one person tell of each once: it has a tag. */
  tell({ mention }: Mentioned): void {
    if (document.hasFocus() || !this.isOn()) return
    try {
      const shown = new Notification(`${mention.from} in #${mention.room}`, { body: text(mention.content), tag: mention.message })
      shown.onclick = () => {
        window.focus()
        shown.close()
        this.open(mention.room, mention.message)
      }
      shown.onclose = () => {
        if (this.shown.get(mention.message) === shown) this.shown.delete(mention.message)
      }
      this.shown.set(mention.message, shown)
    } catch {
      // some systems know them only with a service worker
    }
  }

  /** Takes back what the system shows of a mention. */
  close({ message }: Mention): void {
    this.shown.get(message)?.close()
  }

  private isOn(): boolean {
    return 'Notification' in window && Notification.permission === 'granted' && ofBrowser.getItem(wanted) === 'on'
  }

  private async change(): Promise<void> {
    if (this.isOn()) ofBrowser.setItem(wanted, 'off')
    else if ((await Notification.requestPermission()) === 'granted') ofBrowser.setItem(wanted, 'on')
    this.showAsk()
  }

  private showAsk(): void {
    const known = 'Notification' in window && isSecureContext
    this.ask.hidden = !known || Notification.permission === 'denied'
    setText(this.ask, this.isOn() ? 'Turn off desktop notifications' : 'Turn on desktop notifications')
  }
}

function listItem({ id, mention }: Mentioned): HTMLElement {
  const { from, room, message } = mention
  const time = timeOf(message)
  return element('li', { 'data-id': id },
    element('a', { href: `#${room}/${message}` },
      avatar(from),
      element('span', { class: 'what' },
        element('span', { class: 'who' },
          element('bdi', { class: 'name' }, from), element('span', { class: 'in' }, ' in '), element('span', { class: 'name' }, `#${room}`),
          time && element('time', { datetime: time.toISOString(), title: whole.format(time) })),
        element('span', { class: 'text', dir: 'auto' }))))
}

/** Shows what may be another with time: what was today is yesterday, and messages are edited. */
function show(item: Element, { mention, seen }: Mentioned): void {
  setAttribute(item, 'class', seen ? null : 'unseen')
  setText(item.querySelector('.text')!, text(mention.content))
  const time = item.querySelector('time')
  if (time) setText(time, momentName(new Date(time.dateTime), new Date(), named))
}

function text(content: string): string {
  const whole = plainText(format(content)).replace(/\s+/g, ' ')
  return whole.length > longest ? `${whole.slice(0, longest)}…` : whole
}

/** The time that an $id begins with: a ULID has it in its first ten characters. */
function timeOf(id: string): Date | undefined {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
  let time = 0
  for (const character of id.slice(0, 10)) time = time * 32 + digits.indexOf(character)
  const date = new Date(time)
  return id.length === 26 && time > 0 && !isNaN(date.getTime()) ? date : undefined
}
