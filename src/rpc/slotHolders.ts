// Connections that hold pool slots behind a slow write, in the order in which they began to. When another connection
// finds no free slot, theirs are copied out of the pool. So peers that don't read, or are stuck in their handshakes,
// can't take the pool from the others.

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
