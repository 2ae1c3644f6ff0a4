// A coloured disc with a letter, the same everywhere for the same person.

import { element } from './element.ts'

const colours = 12 // in colours.css

export function avatar(user: string): HTMLElement {
  let sum = 0
  for (let i = 0; i < user.length; i++) sum = (sum * 31 + user.charCodeAt(i)) >>> 0
  const letter = [...user.replace(/^guest-/, '')][0] ?? '?'
  return element('span', { class: 'avatar', 'data-colour': sum % colours, 'data-letter': letter.toUpperCase(), 'aria-hidden': true })
}
