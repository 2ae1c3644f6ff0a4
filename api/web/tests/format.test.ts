import { test, expect } from 'dotdo/test'
import { format, mentions, plainText, type Part } from '../page/format.ts'

const length = 4000 // characters: what a room takes at most

/** Parts in one line: link<https://…>, mention<@ann>, strong<…>. */
function show(parts: readonly Part[]): string {
  return parts.map((part) => {
    if (part.kind === 'text') return part.text
    if (part.kind === 'block') return `block:${part.language}<${part.text}>`
    return `${part.kind}<${'parts' in part ? show(part.parts) : part.text}>`
  }).join('')
}

const shown: [text: string, parts: string][] = [
  ['hello', 'hello'],
  ['', ''],
  ['**a** *b* _c_ ~~d~~ `e`', 'strong<a> emphasis<b> emphasis<c> strike<d> code<e>'],
  ['**a *b* c**', 'strong<a emphasis<b> c>'],
  ['2 * 3 * 4, a_b_c, snake_case_name, 5*6*7', '2 * 3 * 4, a_b_c, snake_case_name, 5*6*7'],
  ['*not\n\nover* an empty line', '*not\n\nover* an empty line'],
  ['** a** and **a ** and ****', '** a** and **a ** and ****'],
  ['`**code**` ``a ` b``', 'code<**code**> code<a ` b>'],
  ['` ` and `` and ```` a', '` ` and `` and ```` a'],
  ['```\na\n  b\n```', 'block:<a\n  b>'],
  ['see:\n```js\nf()\n```\nso', 'see:block:js<f()>so'],
  ['```one line```', 'block:<one line>'],
  ['``` ```', '``` ```'],
  ['```open', '```open'],
  ['```<b>not a language\nx```', 'block:<<b>not a language\nx>'],
  ['> quoted *so*\n> twice\nand not', 'quote<quoted emphasis<so>\ntwice>and not'],
  ['a > b', 'a > b'],
  ['@ann: hi @bob.b, (@ann) a@b.c @@x @ü_1. @', 'mention<@ann>: hi mention<@bob.b>, (mention<@ann>) a@b.c @@x mention<@ü_1>. @'],
  ['`@ann` is no mention', 'code<@ann> is no mention'],
  ['https://example.com/a_b_c?d=*e*#f', 'link<https://example.com/a_b_c?d=*e*#f>'],
  ['(see http://example.com/x_(y)). Or https://example.com, or <https://example.com/>!', '(see link<http://example.com/x_(y)>). Or link<https://example.com>, or <link<https://example.com/>>!'],
  ['**https://example.com**', 'strong<link<https://example.com>>'],
  ['xhttps://example.com', 'xhttps://example.com'],
]

test('marks are taken apart, and what is none is text', () => {
  for (const [text, parts] of shown) expect(show(format(text))).toBe(parts)
})

test('nothing but a web address becomes a link', () => {
  const hostile = [
    'javascript:alert(1)', 'JAVASCRIPT:alert(1)', 'java\nscript:alert(1)', ' javascript://example.com/%0aalert(1)', 'data:text/html,<script>alert(1)</script>',
    'vbscript:x', 'file:///etc/passwd', 'blob:https://example.com/x', 'view-source:https:', 'http://', 'https://?', 'http:///', 'https://user:word@example.com/', 'https://@', 'ftp://example.com',
    '[x](javascript:alert(1))', '//example.com', 'http:example.com',
  ]
  for (const text of hostile) {
    const links = linksOf(format(text))
    for (const link of links) expect(link.href).toMatch(/^https?:\/\/[^@]*$/)
    if (!text.includes('//example')) expect(links.map((link) => link.href)).toEqual([])
  }
  expect(linksOf(format('https://example.com/"onmouseover="alert(1)')).map((link) => link.href)).toEqual(['https://example.com/'])
  expect(linksOf(format("https://example.com/'x' <b>")).map((link) => link.href)).toEqual(["https://example.com/'x"])
  expect(linksOf(format('https://example.com\\@evil.example/')).map((link) => link.href)).toEqual(['https://example.com/'])
  expect(linksOf(format('https://example.com/\u202egnp.exe')).map((link) => link.href)).toEqual(['https://example.com/'])
  expect(linksOf(format(`https://example.com/${'a'.repeat(3000)}`))).toEqual([])
})

function linksOf(parts: readonly Part[]): (Part & { kind: 'link' })[] {
  return parts.flatMap((part) => (part.kind === 'link' ? [part] : 'parts' in part ? linksOf(part.parts) : []))
}

// No character is lost but marks, and none is made up: markup stays the text that it is.
test('markup is text', () => {
  for (const text of [
    '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg/onload=alert(1)>', '"><b>', "'-alert(1)-'", '&lt;b&gt; &amp; &#60;', '<!-- -->', ']]>', '{{x}} ${y} <%= z %>',
    '<a href="//x">x</a>', '\u0000\u0008\u001b[31m', '\ud800 lone \udfff', '\u202eabc\u202c', '<b>**x**</b>'.replace(/\*\*/g, ''),
  ]) {
    expect(format(text).filter((part) => part.kind !== 'text')).toEqual([])
    expect(plainText(format(text))).toBe(text)
  }
})

// Each is a turn of its own, which fails after ten seconds, in an engine much slower than
// those of browsers.
for (const unit of ['*a ', '**a', '_', '`', '``a', '```', '@', '@a', '~~a ', 'http://', 'https://a/(', ') http://a', '> ', '>\n', '*_**~~`', '\n\n*', 'a*b_c~~d', '(*x* ', '**a *b _c ~~d ']) {
  test(`it is soon done with the worst: ${JSON.stringify(unit)}`, () => {
    expect(plainText(format(unit.repeat(Math.ceil(length / unit.length)))).length).toBeGreaterThan(0)
  })
}

test('who is mentioned is known however deep it is', () => {
  expect(mentions(format('> **hi *@ann***'), 'ann')).toBe(true)
  expect(mentions(format('`@ann` and @anna'), 'ann')).toBe(false)
})
