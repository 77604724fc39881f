// Connections that keep pool slots behind a write that takes its time, those that have kept them longest first. When
// somebody else finds no slot free, theirs are copied out of the pool, so that peers which don't read, or are stuck
// in their handshakes, can't take it from those that do.

export interface SlotHolder {
  /** Moves what waits out of its slots. Returns how many are free now. */
  giveUpSlots(): number;
}

/** In the order in which they began to hold slots. Whoever is closed takes itself out. */
export const slotHolders = new Set<SlotHolder>();

/** Makes at least one slot free, if anybody holds one that can be given up. */
export function reclaimSlot(): void {
  for (const holder of slotHolders) {
    // Out of the list first: it comes back, last, when it takes a slot again.
    slotHolders.delete(holder);
    if (holder.giveUpSlots() > 0) return;
  }
}
