// Rendezvous hashing (Thaler and Ravishankar 1998): every server has a score for every key, and the highest one serves
// it. When a server goes, only its own keys move; when it comes back, they return. All clients agree without talking.

/** FNV-1a over UTF-16 units, with the finalizer of MurmurHash3. Not for adversaries: who picks keys picks servers. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * The score by which a server of this weight gets its part of all keys (Schindelhauer and Schomaker 2005). Among servers of
 * one weight the order is that of the hashes.
 */
function score(value: number, weight: number): number {
  return -weight / Math.log((value + 0.5) / 2 ** 32);
}

/** `servers`, the one that `key` belongs to in front, then who takes it when that one is gone, and so on. */
export function byRendezvous<Server>(
  key: string,
  servers: readonly Server[],
  nameOf: (server: Server) => string,
  weightOf: (server: Server) => number = () => 1,
): Server[] {
  return servers
    .map((server) => {
      const name = nameOf(server);
      return { server, name, score: score(hash(`${key}\0${name}`), weightOf(server)) };
    })
    .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1))
    .map(({ server }) => server);
}
