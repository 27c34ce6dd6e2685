/** A store of the browser's database: on this device, and nowhere else. */

interface Database {
  /** Run a request, and wait until its transaction is complete: only then does a full disk report an error. */
  ask<T>(mode: IDBTransactionMode, question: (objects: IDBObjectStore) => IDBRequest<T>): Promise<T>;
  /** Make several changes, all of them or, on an error, none. */
  change(act: (objects: IDBObjectStore) => void): Promise<void>;
}

/** Open, at its first use, a database with one store; objects have their key in `id`. */
export function database(name: string, store: string): Database {
  let opened: Promise<IDBDatabase> | null = null;
  const forget = () => void (opened = null); // the next request opens it again
  const open = () => {
    if (opened) return opened;
    opened = new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(store, { keyPath: "id" });
      request.onsuccess = () => {
        request.result.onclose = forget; // by the browser, as when the user clears its storage
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    });
    opened.catch(forget);
    return opened;
  };
  const run = async <T>(mode: IDBTransactionMode, act: (objects: IDBObjectStore) => T): Promise<T> => {
    const transaction = (await open()).transaction(store, mode);
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    try {
      const said = act(transaction.objectStore(store));
      await done;
      return said;
    } catch (error) {
      done.catch(() => undefined); // this is its reason
      abort(transaction);
      throw error;
    }
  };
  return {
    ask: async (mode, question) => (await run(mode, question)).result,
    change: (act) => run("readwrite", act),
  };
}

/** Undo a transaction, unless it has ended. */
function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // it has been undone
  }
}
