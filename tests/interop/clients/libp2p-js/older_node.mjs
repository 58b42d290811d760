// What js-libp2p uses of newer versions of Node.js than 20, where this one lacks it.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((a, b) => { resolve = a; reject = b })
  return { promise, resolve, reject }
}
