// What the browser keeps for the page.

/** Where something is kept. */
export interface Store {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** What a store has by this name, read as JSON; undefined if that is nothing or no JSON. It may be of any shape. */
export function readKept(store: Store, key: string): unknown {
  try {
    return JSON.parse(store.getItem(key) ?? '')
  } catch {
    return undefined
  }
}

/**
 * Web storage that never fails. A browser may keep nothing, by its person's wish or for
 * want of room: then it is kept here, until the page is left.
 */
export class Kept {
  private readonly here = new Map<string, string>()

  /** storage throws where it is forbidden. */
  constructor(private readonly storage: () => Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>) {}

  getItem(key: string): string | null {
    return this.here.get(key) ?? this.attempt((storage) => storage.getItem(key)) ?? null
  }

  setItem(key: string, value: string): void {
    const isKept = this.attempt((storage) => {
      storage.setItem(key, value)
      return true
    })
    if (isKept) return void this.here.delete(key)
    this.removeItem(key) // or the one before would be back with the next page
    this.here.set(key, value)
  }

  removeItem(key: string): void {
    this.here.delete(key)
    this.attempt((storage) => storage.removeItem(key))
  }

  private attempt<Result>(what: (storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>) => Result): Result | undefined {
    try {
      return what(this.storage())
    } catch {
      return undefined
    }
  }
}

/** Until the tab is closed. */
export const ofTab = new Kept(() => sessionStorage)

/** For the next time. */
export const ofBrowser = new Kept(() => localStorage)
