// Writes the examples of the READMEs, and the code of the seed, into a folder for
// tsc: every block of JavaScript or TypeScript that imports from 'dotdo', each as a
// file of its own that is named after its line. Run it in the repository:
// node .ci/examples.mjs FOLDER SEED

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const [, , folder, seed] = process.argv
const extensions = { js: 'js', javascript: 'js', ts: 'ts', typescript: 'ts' }

function examples(file, name, always = '') {
  let found = 0
  const text = readFileSync(file, 'utf8')
  for (const block of text.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const [, language, code] = block
    if (!extensions[language] || !/ from 'dotdo(\/test)?'/.test(code)) continue
    const line = text.slice(0, block.index).split('\n').length
    writeFileSync(join(folder, `${name}-${line}.${extensions[language]}`), `${code}\n${always}`)
    found++
  }
  if (found === 0) throw new Error(`${file} has no examples`)
}

mkdirSync(folder, { recursive: true })
examples('README.md', 'readme')
examples('scripts/README.md', 'scripts')
const [, model] = readFileSync(seed, 'utf8').match(/^```typescript\n(interface .*?)^```$/ms)
examples(seed, 'seed', model)
writeFileSync(join(folder, 'jsconfig.json'), JSON.stringify({
  extends: resolve('scripts/jsconfig.json'),
  include: ['*', resolve('scripts/dotdo.d.ts')],
}))
