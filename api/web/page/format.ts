// What people write, taken apart: links, mentions, code and emphasis. The parts are
// data; content.ts makes nodes of them. Whatever isn't understood is text.
//
// The time it takes grows with the length of the text only, whatever is in it: each
// kind of mark is looked for to the end of the text once at most, and marks are nested
// a few levels deep.

export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly href: string }
  | { readonly kind: 'mention'; readonly text: string; readonly user: string }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'block'; readonly text: string; readonly language: string }
  | { readonly kind: 'quote' | 'strong' | 'emphasis' | 'strike'; readonly parts: readonly Part[] }

const maxDepth = 4
const maxLink = 2000 // characters

const fence = '```'

/** Takes a message apart. */
export function format(text: string): Part[] {
  const parts: Part[] = []
  let at = 0
  for (let open = text.indexOf(fence); open >= 0; open = text.indexOf(fence, at)) {
    const close = text.indexOf(fence, open + fence.length)
    if (close < 0) break
    lines(withoutLineEnd(text.slice(at, open)), parts)
    const block = codeBlock(text.slice(open + fence.length, close))
    if (block.text.trim() === '') push(parts, text.slice(open, close + fence.length))
    else parts.push(block)
    at = close + fence.length
    if (text[at] === '\n') at++
  }
  lines(text.slice(at), parts)
  return parts
}

function withoutLineEnd(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text
}

/** A word right behind the fence, alone on its line, is the language. */
function codeBlock(inside: string): Part & { kind: 'block' } {
  const lineEnd = inside.indexOf('\n')
  const first = inside.slice(0, Math.max(lineEnd, 0)).trim()
  const named = lineEnd >= 0 && /^[\w+#.-]{0,20}$/.test(first)
  const text = named ? inside.slice(lineEnd + 1) : inside
  return { kind: 'block', text: withoutLineEnd(text), language: named ? first : '' }
}

/** Lines that begin with > are a quote; what is between is inline. */
function lines(text: string, parts: Part[]): void {
  if (!text.startsWith('>') && !text.includes('\n>')) return inline(text, parts)
  let together: string[] = []
  let quoted = false
  const flush = () => {
    const lines = together.join('\n')
    if (quoted) parts.push({ kind: 'quote', parts: inlineParts(lines, 1) })
    else if (together.length > 0) inline(lines, parts)
    together = []
  }
  for (const line of text.split('\n')) {
    const isQuote = line.startsWith('>')
    if (isQuote !== quoted) flush()
    quoted = isQuote
    together.push(isQuote ? line.slice(line[1] === ' ' ? 2 : 1) : line)
  }
  flush()
}

function inlineParts(text: string, depth: number): Part[] {
  const parts: Part[] = []
  inline(text, parts, depth)
  return parts
}

/** Adds text, to that before it if there is some. */
function push(parts: Part[], text: string): void {
  if (text === '') return
  const last = parts[parts.length - 1]
  if (last?.kind === 'text') parts[parts.length - 1] = { kind: 'text', text: last.text + text }
  else parts.push({ kind: 'text', text })
}

const special = /[`@*_~]|https?:\/\//gi

const marks = [
  { mark: '**', kind: 'strong' },
  { mark: '~~', kind: 'strike' },
  { mark: '*', kind: 'emphasis' },
  { mark: '_', kind: 'emphasis' },
] as const

function inline(text: string, parts: Part[], depth = 0): void {
  let at = 0
  for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n', at)) {
    paragraph(text.slice(at, end), parts, depth) // no mark reaches over an empty line
    push(parts, '\n\n')
    at = end + 2
  }
  paragraph(text.slice(at), parts, depth)
}

function paragraph(text: string, parts: Part[], depth: number): void {
  const none = new Set<string>() // marks that nothing closes from here on
  let from = 0 // of the text that is not in parts yet
  let at = 0
  while (at < text.length) {
    special.lastIndex = at
    const found = special.exec(text)
    if (!found) break
    const start = found.index
    const taken = take(text, start, found[0], depth, none)
    if (taken) {
      push(parts, text.slice(from, start))
      if (taken.part.kind === 'text') push(parts, taken.part.text)
      else parts.push(taken.part)
      at = from = taken.end
    } else {
      at = start + run(text, start)
    }
  }
  push(parts, text.slice(from))
}

/** How many of the same mark stand here: they are passed over together. */
function run(text: string, start: number): number {
  let end = start + 1
  if (marks.some(({ mark }) => mark[0] === text[start]) || text[start] === '`') while (text[end] === text[start]) end++
  return end - start
}

interface Taken {
  readonly part: Part
  readonly end: number
}

function take(text: string, start: number, found: string, depth: number, none: Set<string>): Taken | undefined {
  if (found === '`') return code(text, start, none)
  if (found === '@') return mention(text, start)
  if (found.length > 1) return link(text, start)
  if (depth >= maxDepth) return undefined
  for (const { mark, kind } of marks) {
    if (!text.startsWith(mark, start)) continue
    return emphasis(text, start, mark, kind, depth, none)
  }
  return undefined
}

/** What stands between two runs of as many backticks, one or two. */
function code(text: string, start: number, none: Set<string>): Taken | undefined {
  const length = run(text, start)
  const mark = '`'.repeat(length)
  const open = start + length
  if (length > 2 || none.has(mark)) return undefined
  for (let close = text.indexOf(mark, open); close >= 0; close = text.indexOf(mark, close + run(text, close))) {
    if (run(text, close) !== length) continue
    const inside = text.slice(open, close).trim()
    return inside === '' ? undefined : { part: { kind: 'code', text: inside }, end: close + length }
  }
  none.add(mark)
  return undefined
}

const wordCharacter = /[\p{L}\p{N}_]/u

function isWord(character: string | undefined): boolean {
  return character !== undefined && wordCharacter.test(character)
}

/** The character before, whole. */
function before(text: string, at: number): string | undefined {
  const last = text[at - 1]
  return last !== undefined && last >= '\udc00' && last <= '\udfff' ? text.slice(at - 2, at) : last
}

const name = /[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]{0,62}[\p{L}\p{N}_])?/uy

/** @ann, as extractMentions of the runtime has it: an address is no mention. */
function mention(text: string, start: number): Taken | undefined {
  const previous = before(text, start)
  if (previous !== undefined && (previous === '@' || previous === '.' || isWord(previous))) return undefined
  name.lastIndex = start + 1
  const user = name.exec(text)?.[0]
  if (user === undefined) return undefined
  return { part: { kind: 'mention', text: '@' + user, user }, end: start + 1 + user.length }
}

const linkEnd = /[\s<>"`\\\u0000-\u001f\u007f\u00a0\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

function link(text: string, start: number): Taken | undefined {
  if (isWord(before(text, start))) return undefined
  linkEnd.lastIndex = start
  let end = linkEnd.exec(text)?.index ?? text.length
  if (end - start > maxLink) return { part: { kind: 'text', text: text.slice(start, end) }, end }
  end = start + withoutPunctuation(text.slice(start, end))
  const shown = text.slice(start, end)
  const href = webAddress(shown)
  return href === undefined ? undefined : { part: { kind: 'link', text: shown, href }, end }
}

/** How long a link is without what belongs to the sentence around it. */
function withoutPunctuation(link: string): number {
  let closing = 0 // brackets that are closed and were not opened
  for (const character of link) closing += character === ')' ? 1 : character === '(' ? -1 : 0
  let end = link.length
  for (; end > 0; end--) {
    const last = link[end - 1]!
    if (last === ')' && closing > 0) closing--
    else if (!'.,;:!?\'*_~]}'.includes(last)) break
  }
  return end
}

/** The address, of http or https, if it is one: without a name and password, which look like the host. */
function webAddress(text: string): string | undefined {
  try {
    const url = new URL(text)
    return url.username === '' && url.password === '' ? url.href : undefined
  } catch {
    return undefined
  }
}

function emphasis(text: string, start: number, mark: string, kind: 'strong' | 'strike' | 'emphasis', depth: number, none: Set<string>): Taken | undefined {
  const open = start + mark.length
  if (none.has(mark) || isWord(before(text, start)) || isSpace(text[open]) || text[open] === mark[0]) return undefined
  for (let close = text.indexOf(mark, open + 1); close >= 0; close = text.indexOf(mark, close + 1)) {
    const end = close + mark.length
    if (isSpace(text[close - 1]) || text[close - 1] === mark[0] || text[end] === mark[0] || isWord(text[end])) continue
    return { part: { kind, parts: inlineParts(text.slice(open, close), depth + 1) }, end }
  }
  none.add(mark)
  return undefined
}

function isSpace(character: string | undefined): boolean {
  return character === undefined || character.trim() === ''
}

/** The text of parts as one reads it out. */
export function plainText(parts: readonly Part[]): string {
  return parts.map((part) => {
    if ('parts' in part) return part.kind === 'quote' ? `${plainText(part.parts)}\n` : plainText(part.parts)
    return part.kind === 'block' ? `\n${part.text}\n` : part.text
  }).join('')
}

/** Whether a message mentions somebody where it is shown as a mention. */
export function mentions(parts: readonly Part[], user: string): boolean {
  return parts.some((part) => (part.kind === 'mention' ? part.user === user : 'parts' in part && mentions(part.parts, user)))
}
