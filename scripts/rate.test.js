import { test, expect, clock } from 'dotdo/test'
import { bucket } from './lib/rate.js'

test('a bucket is forgotten once it is full, and not before', async () => {
  const tables = [] // in which people are remembered, the newest last
  const { create } = Object
  Object.create = (/** @type {[any]} */ ...prototype) => {
    const table = create(...prototype)
    tables.push(table)
    return table
  }
  try {
    const take = bucket(1, 2)
    take('ann')
    let most = 0
    for (let second = 0; second < 10; second++) {
      expect(take('ann')).toBe(0)
      expect(take('ann')).toBe(1)
      expect(take(`bob ${second}`)).toBe(0)
      for (let i = 0; i < 600; i++) take(`somebody ${second} ${i}`)
      expect(take('ann')).toBe(1) // however many came meanwhile
      expect(take(`bob ${second}`)).toBe(0)
      expect(take(`bob ${second}`)).toBe(1)
      most = Math.max(most, Object.keys(tables[tables.length - 1]).length)
      await clock.advance('1s')
    }
    expect(most).toBeGreaterThan(600) // it is a table of people
    expect(most).toBeLessThan(2000) // of 6,000
  } finally {
    Object.create = create
  }
})
