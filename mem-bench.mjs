import { createApi } from './src/rpc/api.ts';
import { memory, RECEIVE_WINDOW } from './src/core/crypto.ts';
let accept; const queue=[]; let scheduled=false; 
function drain(){ scheduled=false; const q=queue.splice(0); for(const f of q) f(); }
function later(f){ queue.push(f); if(!scheduled){scheduled=true; setImmediate(drain);} }
class T { remoteAddress='mem'; buf=new Uint8Array(1<<20);
  write(b){ const c=this.buf; c.set(b); const n=b.length; later(()=>{ this.peerEvents.w ? (memory.set(c.subarray(0,n),RECEIVE_WINDOW), this.peerEvents.e.onWindow(n)) : this.peerEvents.e.onData(c.subarray(0,n)); }); return true; }
  pause(){} resume(){} end(){ later(()=>this.peerEvents.e.onEnd()); } destroy(){ later(()=>this.own.onClose()); } }
const adapter={ name:'node', defer:(cb)=>process.nextTick(cb),
 dial(_,events){ later(()=>{ const a=new T(), b=new T(); a.peerEvents={w:false,e:undefined}; b.peerEvents={w:true,e:events}; a.own=events; const se=accept(b); a.peerEvents.e=se; b.own=se; events.onOpen(a); }); return ()=>{}; },
 async listen(_,acc){ accept=acc; return {port:1, close:async()=>{}}; } };
const {connect,listen}=createApi(adapter);
const psk=new Uint8Array(32).fill(1);
const server=await listen({port:1,psk,messageBodies:'view',onMessage:(m)=>{ if(m.expectsReply) m.reply(m.body); }});
const client=connect({port:1,psk,maxConnections:1});
await client.connected();
const size=Number(process.env.SIZE??1400), body=new Uint8Array(size).fill(5);
const N=Number(process.env.N??30000);
for(let r=0;r<6;r++){ const t=performance.now(); for(let i=0;i<N;i++) await client.request(body); console.log('request',((performance.now()-t)*1e3/N).toFixed(2),'us'); }
{ const t=performance.now(); for(let i=0;i<N;i++) await new Promise(r=>{ later(()=>later(r)); }); console.log('bare',((performance.now()-t)*1e3/N).toFixed(2)); }
process.exit(0);
