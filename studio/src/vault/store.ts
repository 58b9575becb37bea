/** The vault's one thing in IndexedDB: the device key of "stay unlocked". */

const NAME = 'safelight';
const STORE = 'keys';

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error ?? new Error('no storage'));
  });
}

async function run<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await database();
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = db.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error ?? new Error('no storage'));
      transaction.onabort = transaction.onerror;
    });
  } finally {
    db.close();
  }
}

export const read = <T>(key: string): Promise<T | undefined> => run('readonly', (store) => store.get(key) as IDBRequest<T | undefined>);
export const write = (key: string, value: unknown): Promise<unknown> => run('readwrite', (store) => store.put(value, key));
export const erase = (key: string): Promise<unknown> => run('readwrite', (store) => store.delete(key));
