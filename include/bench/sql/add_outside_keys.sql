alter table public.refunds
add constraint refunds_order_id_fkey foreign key (order_id) references public.orders (id) on delete restrict,
add constraint refunds_not_valid foreign key (order_id) references public.orders (id) not valid;
alter table public.commissions
add constraint commissions_affiliate_id_fkey foreign key (affiliate_id) references public.affiliates (id)
on delete cascade deferrable initially deferred,
add constraint commissions_order_id_fkey foreign key (order_id) references public.orders (id) on delete set null;
alter table public.events add constraint events_profile_id_fkey foreign key (profile_id) references public.profiles (
    id
);
