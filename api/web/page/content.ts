// Parts of a message as nodes.

import { element, type Child } from './element.ts'
import type { Part } from './format.ts'

export function nodesOf(parts: readonly Part[], me: string): Child[] {
  return parts.map((part) => nodeOf(part, me))
}

function nodeOf(part: Part, me: string): Child {
  switch (part.kind) {
    case 'text':
      return part.text
    case 'link': // it neither learns where it was clicked nor reaches this window
      return element('a', { href: part.href, target: '_blank', rel: 'noopener noreferrer nofollow ugc', dir: 'ltr' }, part.text)
    case 'mention':
      return element('span', { class: part.user === me ? 'mention me' : 'mention', 'data-user': part.user, dir: 'auto' }, part.text)
    case 'code':
      return element('code', { dir: 'ltr' }, part.text)
    case 'block':
      return element('pre', { dir: 'ltr', tabindex: 0, role: 'group', 'aria-label': part.language ? `Code, ${part.language}` : 'Code', 'data-language': part.language || null }, element('code', {}, part.text))
    case 'quote':
      return element('blockquote', { dir: 'auto' }, ...nodesOf(part.parts, me))
    case 'strong':
      return element('strong', {}, ...nodesOf(part.parts, me))
    case 'emphasis':
      return element('em', {}, ...nodesOf(part.parts, me))
    case 'strike':
      return element('del', {}, ...nodesOf(part.parts, me))
  }
}

/** Whether a message is nothing but a few emoji, which are shown large then. */
export function isEmojiOnly(content: string): boolean {
  const text = content.replace(/[\s\u200d\ufe0f\u20e3]/g, '')
  return content.length <= 40 && /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}){1,12}$/u.test(text)
}
