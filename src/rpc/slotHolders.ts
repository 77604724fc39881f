// Connections that hold pool slots behind a slow write, in the order in which they began to. When another connection
// finds no free slot, theirs are copied out of the pool. So peers that don't read, or are stuck in their handshakes,
// can't take the pool from the others.

export interface SlotHolder {
  /** Moves waiting segments out of their slots. Returns the number of freed slots. */
  giveUpSlots(): number;
}

/** In the order in which they began to hold slots. A closed connection removes itself. */
export const slotHolders = new Set<SlotHolder>();

/** Frees at least one slot, if any connection holds one that can be given up. */
export function reclaimSlot(): void {
  for (const holder of slotHolders) {
    // Removed first: it joins again, as the last, when it takes another slot.
    slotHolders.delete(holder);
    if (holder.giveUpSlots() > 0) return;
  }
}
