// One message on the page.

import { avatar } from './avatar.ts'
import { isEmojiOnly, nodesOf } from './content.ts'
import { arrange, element, setAttribute, type Child } from './element.ts'
import { format, mentions, plainText, type Part } from './format.ts'
import { icon } from './icon.ts'
import type { MessageRow } from './rows.ts'

/** What can be done with a message; the names are those of its buttons. */
export type Action = 'react' | 'edit' | 'delete' | 'retry' | 'discard'

const hour = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })

export function makeMessage(): HTMLElement {
  return element('article', { class: 'message', tabindex: -1 })
}

/** Draws a message into its article. What has the focus inside keeps it, if it is still there. */
export function drawMessage(article: HTMLElement, row: MessageRow, me: string): void {
  const { message, state } = row
  const parts = format(message.content)
  const isMine = message.author === me
  const isDeleted = message.deleted !== undefined
  const toMe = !isMine && mentions(parts, me)
  const time = new Date(message.sent)
  const classes = ['message', row.follows && 'follows', isMine && 'mine', isDeleted && 'deleted', message.edited !== undefined && !isDeleted && 'edited', toMe && 'to-me']
  setAttribute(article, 'class', classes.filter(Boolean).join(' '))
  setAttribute(article, 'data-id', message.$id || null)
  setAttribute(article, 'data-client-id', message.$id ? null : message.id)
  setAttribute(article, 'data-author', message.author)
  setAttribute(article, 'data-state', state)
  setAttribute(article, 'aria-label', label(row, parts, hour.format(time)))
  const tools = toolbar(row, isMine, isDeleted, article.tabIndex)
  const focused = article.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset : undefined
  const body = article.querySelector('.body') ?? element('div', { class: 'body' })
  renew(body, [
    element('header', {},
      element('bdi', { class: 'author' }, message.author),
      element('time', { datetime: message.sent, title: whole.format(time) }, hour.format(time)),
      toMe && element('span', { class: 'hidden' }, 'mentions you')),
    element('div', { class: isEmojiOnly(message.content) ? 'content large' : 'content', dir: 'auto' },
      ...(isDeleted ? ['This message was deleted.'] : nodesOf(parts, me))),
    status(row),
    state === 'failed' && tools, // what is to be done about it is not hidden
    reactions(article, row, me)])
  renew(article, [
    element('div', { class: 'side', 'aria-hidden': true }, row.follows ? element('span', { class: 'hour' }, hour.format(time)) : avatar(message.author)),
    body,
    state !== 'failed' && tools])
  if (article.contains(document.activeElement)) return
  const { action, emoji } = focused ?? {}
  const again = action ? `[data-action="${action}"]` : emoji !== undefined ? `[data-emoji="${CSS.escape(emoji)}"]` : undefined
  if (again) (article.querySelector<HTMLElement>(again) ?? article).focus()
}

/** Has the children of an element be like these. What is so already stays: it may be scrolled, selected, or half clicked. */
function renew(target: Element, wanted: readonly (Element | false | undefined)[]): void {
  const there = [...target.children]
  arrange(target, wanted.flatMap((made) => (made ? [there.find((other) => other.isEqualNode(made)) ?? made] : [])))
}

/** Has Tab stop at a message and at its buttons, or go past them: it stops at one message only. */
export function makeCurrent(article: HTMLElement, isCurrent: boolean): void {
  setAttribute(article, 'tabindex', isCurrent ? 0 : -1)
  for (const button of article.querySelectorAll('button')) setAttribute(button, 'tabindex', article.tabIndex)
}

function label({ message, state, waits }: MessageRow, parts: readonly Part[], time: string): string {
  const said = message.deleted !== undefined ? 'deleted' : plainText(parts)
  return `${message.author}, ${time}: ${said}${message.edited !== undefined ? ', edited' : ''}${state === 'sent' ? '' : `, ${waits ? 'waiting to send' : state}`}`
}

function status({ state, entry, waits }: MessageRow): HTMLElement | undefined {
  if (state === 'sent') return undefined
  if (state === 'sending') return entry?.request.type === 'delete' ? undefined : element('p', { class: 'state' }, waits ? 'Waiting to send' : 'Sending…')
  return element('p', { class: 'state failed' }, `Not ${what(entry?.request.type)}: ${entry?.error ?? 'unknown'}`)
}

function what(type: string | undefined): string {
  return type === 'edit' ? 'changed' : type === 'delete' ? 'deleted' : 'sent'
}

function reactions(article: HTMLElement, { message }: MessageRow, me: string): HTMLElement | undefined {
  const entries = Object.entries(message.reactions ?? {}).filter(([, users]) => users.length > 0)
  if (entries.length === 0) return undefined
  const list = article.querySelector<HTMLElement>('.reactions') ?? element('ul', { class: 'reactions', 'aria-label': 'Reactions' })
  renew(list, entries.map(([emoji, users]) => {
    const isMine = users.includes(me)
    return element('li', {}, element('button', {
      type: 'button', 'data-emoji': emoji, 'aria-pressed': isMine, title: users.slice(0, 30).join(', '), 'aria-label': `${emoji} ${users.length}${isMine ? ', yours too' : ''}`,
      tabindex: article.tabIndex,
    }, element('span', { class: 'emoji' }, emoji), element('span', { class: 'count' }, String(users.length))))
  }))
  return list
}

function toolbar({ message, state }: MessageRow, isMine: boolean, isDeleted: boolean, tabindex: number): HTMLElement {
  const button = (action: Action, name: string, shown: Child) =>
    element('button', { type: 'button', 'data-action': action, 'aria-label': name, title: name, tabindex }, shown)
  const failed = state === 'failed'
  const isStored = message.$id !== ''
  return element('div', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Message' },
    failed && button('retry', 'Retry', 'Retry'),
    failed && button('discard', 'Discard', 'Discard'),
    isStored && !isDeleted && !failed && button('react', 'React', icon('react')),
    isStored && !isDeleted && isMine && state === 'sent' && button('edit', 'Edit', icon('edit')),
    isStored && !isDeleted && isMine && state === 'sent' && button('delete', 'Delete', icon('delete')))
}
